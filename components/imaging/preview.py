"""A contact sheet of a dataset, raw or processed."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

from PIL import Image as Pillow
from PIL import ImageDraw, ImageOps

from components.imaging.dataset import LEFT_OUT, Image, ShardReader
from components.imaging.decoding import decode_rgb
from components.runtime.text import printable

TILE, COLUMNS, MOST_CLASSES, MARGIN = 112, 10, 12, 20  # pixels but for the columns and classes


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
        draw.text((4, row * height + 4), printable(label), fill="black")
        for column, image in enumerate(rows[label]):
            try:  # without a limit: what a dataset keeps was judged when it was made
                picture = decode_rgb(reader.read(image), 2 * TILE, math.inf)
            except Exception:  # the file may have changed into anything: its place stays empty
                continue
            tile = ImageOps.fit(picture, (TILE - 4, TILE - 4), Pillow.Resampling.BILINEAR)
            sheet.paste(tile, (column * TILE, row * height + MARGIN))
    sheet.save(path, quality=85)
