"""A contact sheet of a dataset, raw or processed."""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from pathlib import Path

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, ImageOps

from components.imaging.dataset import LEFT_OUT, Image, ShardReader
from components.imaging.decoding import decode_rgb
from components.runtime.text import printable

TILE, COLUMNS, MOST_CLASSES, MARGIN = 112, 10, 12, 20  # pixels but for the columns and classes


def drawable(label: str) -> str:
    """The label in letters of the font that Pillow brings, if need be without accents.

    Letters that it lacks, for which it would draw boxes, are `?`; empty where most are such.
    """
    font = ImageFont.load_default()
    box = bytes(font.getmask("\uffff"))
    whole = printable(label)
    plain = "".join(x for x in unicodedata.normalize("NFKD", whole) if not unicodedata.combining(x))
    known = ["?" if bytes(font.getmask(letter)) == box else letter for letter in plain]
    if not any(bytes(font.getmask(letter)) == box for letter in whole):
        return whole
    return "" if 2 * known.count("?") > len(known) else "".join(known)


def write_preview(path: Path, images: list[Image], reader: ShardReader) -> None:
    """A contact sheet: a row of images of each class, the same ones each time."""
    rows: dict[str, list[Image]] = defaultdict(list)
    for image in sorted(images, key=lambda image: image.sha256):
        if image.verdict != LEFT_OUT and len(rows[image.label]) < COLUMNS:
            rows[image.label].append(image)
    labels = sorted(rows)[:MOST_CLASSES]
    if not labels:
        return
    height = TILE + MARGIN
    sheet = Pillow.new("RGB", (COLUMNS * TILE, height * len(labels)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(labels):
        draw.text((4, row * height + 4), drawable(label) or f"class {row + 1}", fill="black")
        for column, image in enumerate(rows[label]):
            try:  # without a limit: what a dataset keeps was judged when it was made
                picture = decode_rgb(reader.read(image), 2 * TILE, math.inf)
            except Exception:  # the file may have changed into anything: its place stays empty
                continue
            tile = ImageOps.fit(picture, (TILE - 4, TILE - 4), Pillow.Resampling.BILINEAR)
            sheet.paste(tile, (column * TILE, row * height + MARGIN))
    sheet.save(path, quality=85)
