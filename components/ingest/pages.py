"""A page for people: the pictures of what was left out, and why."""

from __future__ import annotations

import base64
import html
import io
from collections import defaultdict
from pathlib import Path

from components.imaging.dataset import LEFT_OUT, Image, ShardReader
from components.imaging.decoding import decode_rgb
from components.runtime.text import printable

MOST_PICTURES = 200  # on the page of files left out; further files are only named
MOST_NAMES = 5000
TILE = 112  # pixels

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Left out</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; }}
main {{ display: flex; flex-wrap: wrap; gap: 0 2.5rem; }}
h2 {{ font-size: 1.1rem; margin-bottom: .5rem; }}
ul {{ list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 1rem; }}
li {{ width: 8rem; font-size: 12px; line-height: 1.35; overflow-wrap: anywhere; }}
img, .none {{ display: block; width: 8rem; height: 6rem; margin-bottom: .3rem; }}
img {{ object-fit: contain; }}
img, .none {{ background: #8883; border: 1px solid #8885; border-radius: 4px; }}
.none {{ color: #888; text-align: center; line-height: 6rem; }}
small {{ color: #888; }}
</style>
<h1>{left_out} of {total} files left out</h1>
<main>
{sections}
</main>
</html>
"""


def kind_of(reason: str) -> str:
    """The kind of a reason: what stands before its details."""
    return reason.split(":")[0]


def write_left_out_page(
    path: Path,
    images: list[Image],
    pictures: dict[str, bytes],
    reader: ShardReader,
    max_megapixels: float,
) -> None:
    """The files left out by kind of reason; `pictures`: small JPEGs of damaged ones, by path."""
    kinds: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if image.verdict == LEFT_OUT:
            kinds[kind_of(image.reason)].append(image)
    budget = MOST_PICTURES
    sections = []
    for kind, members in sorted(kinds.items(), key=lambda item: (len(item[1]), item[0])):
        cells = []
        for image in members[:MOST_NAMES]:
            picture = b""
            if budget > 0:
                picture = pictures.get(image.path) or _small(image, reader, max_megapixels)
                budget -= bool(picture)
            cells.append(_cell(image, picture))
        more = f"<p>and {len(members) - MOST_NAMES} more" if len(members) > MOST_NAMES else ""
        sections.append(
            f"<section><h2>{html.escape(kind)} ({len(members)})</h2>"
            f"<ul>{''.join(cells)}</ul>{more}</section>"
        )
    left_out = sum(map(len, kinds.values()))
    page = PAGE.format(left_out=left_out, total=len(images), sections="\n".join(sections))
    path.write_text(page, encoding="utf-8")


def _small(image: Image, reader: ShardReader, max_megapixels: float) -> bytes:
    """A small JPEG of an image that is good but left out, such as a duplicate."""
    if not image.width or not image.sha256:
        return b""
    buffer = io.BytesIO()
    try:
        picture = decode_rgb(reader.read(image), 2 * TILE, max_megapixels)
        picture.thumbnail((TILE, TILE))
        picture.save(buffer, "JPEG", quality=70)
    except Exception:  # left out because it does not decode: nothing to show
        return b""
    return buffer.getvalue()


def _cell(image: Image, picture: bytes) -> str:
    shown = '<span class="none">no picture</span>'
    if picture:
        data = base64.b64encode(picture).decode()
        shown = f'<img alt="" src="data:image/jpeg;base64,{data}">'
    path, reason = html.escape(printable(image.path)), html.escape(printable(image.reason))
    return f"<li>{shown}{path}<br><small>{reason}</small></li>"
