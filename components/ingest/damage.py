"""Damage that decoders pass over: the share of a picture that its file does not hold.

Libraries fill up what is missing and say nothing: a JPEG that ends early with an end marker is grey
below, or lacks the finer scans; of a copy that was broken off, the rest is zeros.
"""

from __future__ import annotations

import math
import re

from PIL import Image, ImageChops, ImageFile

from components.imaging.decoding import SHRINKABLE, opaque, open_image

# In a JPEG: neither a stuffed byte (00), nor a restart (d0-d7), nor filling (ff).
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
COEFFICIENTS = 64  # of a block, of each component
NOISE = bytes(range(1, 255)) * 16  # no markers in it
ZEROS = re.compile(rb"\0+")
FEW_ZEROS = bytes(16)
DRAFT = 20  # pixels; a JPEG is decoded at the smallest scale that keeps both sides at least so
OFFSETS, SIZES, COMPRESSION = 273, 279, 259  # TIFF tags: of strips, and 1 for none


def as_grey(image: ImageFile.ImageFile) -> Image.Image:
    """The decoded image in grey, not turned, a JPEG much reduced.

    Every byte of a JPEG is still read, so damage shows; only the last step is shortened.
    """
    if image.format in SHRINKABLE:
        image.draft("L", (DRAFT, DRAFT))
    return opaque(image, "L")


def missing_share(data: bytes, image: ImageFile.ImageFile, grey: Image.Image) -> float:
    """From 0 to 1; `grey` is what `as_grey` made of `image`, and that of `data`."""
    if image.format in SHRINKABLE:
        return max(_unscanned(data, image), _zero_tail(data, image), _cut_off(data, grey))
    if image.format in ("WEBP", "HEIF", "AVIF"):
        return _zero_tail(data, image)
    return _blacked_out(_raw_pixels(data, image), image.height)


def _scans(data: bytes) -> tuple[list[bytes], int]:
    """The headers of the scans of a JPEG, and where its data end: at the end marker, if any."""
    scans, place = [], 2
    while found := MARKER.search(data, place):
        if found[1][0] == END_OF_IMAGE:
            return scans, found.start()
        place = found.end()
        size = int.from_bytes(data[place : place + 2], "big")
        if found[1][0] == START_OF_SCAN:
            scans.append(data[place + 2 : place + size])
        place += size
    return scans, len(data)


def _unscanned(data: bytes, image: ImageFile.ImageFile) -> float:
    """The share of coefficients that no scan of a progressive JPEG has; half for a rough one."""
    if not image.info.get("progressive"):
        return 0.0
    known: dict[tuple[int, int], float] = {}  # by component and coefficient
    for scan in _scans(data)[0]:
        count = scan[0]
        first, last, precision = scan[1 + 2 * count : 4 + 2 * count]
        share = 0.5 if precision & 15 else 1.0
        for component in scan[1 : 1 + 2 * count : 2]:
            known |= {(component, place): share for place in range(first, last + 1)}
    return 1 - sum(known.values()) / (COEFFICIENTS * len(image.layer))


def _zero_tail(data: bytes, image: ImageFile.ImageFile) -> float:
    """The share of a file's data that is zeros up to its end; behind the picture none count."""
    if not data.endswith(FEW_ZEROS):
        return 0.0
    if image.format in SHRINKABLE:
        if _scans(data)[1] < len(data):
            return 0.0
    elif image.format == "WEBP":
        data = data[: 8 + int.from_bytes(data[4:8], "little")]
    else:
        data = data[: _end_of_boxes(data)]
    return 1 - len(data.rstrip(b"\0")) / len(data)


def _end_of_boxes(data: bytes) -> int:
    """Where the last box of a HEIC or AVIF ends."""
    place = 0
    while place < len(data) and data[place + 4 : place + 8] != bytes(4):
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:  # the long form
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        place += size if size >= 8 else len(data)  # 0: to the end
    return place


def _cut_off(data: bytes, grey: Image.Image) -> float:
    """The share of rows at the bottom of a JPEG that are flat because its data end before them.

    Flat alone they may be meant. But a whole picture does not change when noise follows its data,
    while of one that was cut the noise is taken for the rest.
    """
    flat = _flat_rows(grey)
    if not flat:
        return 0.0
    end = _scans(data)[1]
    try:
        again = as_grey(open_image(data[:end] + NOISE + data[end:], math.inf))
        changed = again.tobytes() != grey.tobytes()
    except Exception:  # as it came so far, it needed the noise
        changed = True
    return flat / grey.height if changed else 0.0


def _flat_rows(grey: Image.Image) -> int:
    """How many rows at the bottom have one single colour."""
    width, height = grey.size
    colour = grey.getpixel((0, height - 1))
    if grey.getpixel((width - 1, height - 1)) != colour:
        return 0  # mostly, and quickly
    others = ImageChops.difference(grey, Image.new("L", grey.size, colour)).getbbox()
    return height - others[3] if others else height


def _raw_pixels(data: bytes, image: ImageFile.ImageFile) -> bytes:
    """The pixels of an uncompressed TIFF or BMP, zero for black, as they are in the file."""
    if image.mode in ("1", "P"):
        return b""
    if image.format == "TIFF" and image.tag_v2.get(COMPRESSION, 1) == 1:
        strips = zip(image.tag_v2.get(OFFSETS, ()), image.tag_v2.get(SIZES, ()), strict=False)
        return b"".join(data[offset : offset + size] for offset, size in strips)
    return data[int.from_bytes(data[10:14], "little") :] if image.format == "BMP" else b""


def _blacked_out(pixels: bytes, height: int) -> float:
    """The share of whole rows that are zeros between rows that hardly have any.

    Black bars at top and bottom of the same height are meant.
    """
    row = len(pixels) // height
    runs = []
    place = pixels.find(bytes(row)) if row else -1
    while place >= 0:
        start, end = ZEROS.match(pixels, place).span()
        beside = (pixels[max(0, start - row) : start], pixels[end : end + row])
        if all(side.count(0) < len(side) / 2 for side in beside if side):
            runs.append((start, end))
        place = pixels.find(bytes(row), end)
    if len(runs) > 1 and abs(runs[0][1] - (len(pixels) - runs[-1][0])) <= 2 * row:
        runs = runs[1:-1]
    return sum(end - start for start, end in runs) / max(1, len(pixels))
