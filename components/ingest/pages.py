"""A page for people: the pictures of what was left out, and why."""

from __future__ import annotations

import base64
import contextlib
from collections import defaultdict
from pathlib import Path

from components.imaging.dataset import LEFT_OUT, Image, ShardReader
from components.imaging.decoding import decode_rgb
from components.imaging.html import as_data, page

TEMPLATE = Path(__file__).with_name("left_out.html.jinja")
MOST_PICTURES = 200  # on the page of files left out; further files are only named
MOST_NAMES = 5000
TILE = 112  # pixels


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
    shown = 0

    def picture(image: Image) -> str:
        """As a data address; empty where there is none, or enough are shown."""
        nonlocal shown
        if shown == MOST_PICTURES:
            return ""
        source = ""
        if small := pictures.get(image.path):
            source = "data:image/jpeg;base64," + base64.b64encode(small).decode()
        elif image.width and image.sha256:  # good, but left out, such as a duplicate
            with contextlib.suppress(Exception):  # or it does not decode: nothing to show
                source = as_data(decode_rgb(reader.read(image), 2 * TILE, max_megapixels), TILE)
        shown += bool(source)
        return source

    values = {
        "kinds": sorted(kinds.items(), key=lambda item: (len(item[1]), item[0])),
        "left_out": sum(map(len, kinds.values())),
        "total": len(images),
        "most_names": MOST_NAMES,
        "picture": picture,
    }
    path.write_text(page(TEMPLATE, values), encoding="utf-8")
