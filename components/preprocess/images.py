"""Resize and encode: from a file's bytes to the bytes that training reads."""

from __future__ import annotations

import io

from PIL import Image

from components.images import decode_rgb

GREY = (128, 128, 128)  # of the bars that `pad` adds
FILTER = Image.Resampling.BILINEAR  # Pillow widens it when shrinking, so nothing aliases
DRAFT = 2  # a JPEG may be decoded at a fraction of its size that is at least this times the target


def resize(image: Image.Image, size: int, how: str) -> Image.Image:
    """A square RGB image of `size` x `size` pixels; `how`: stretch, crop or pad."""
    width, height = image.size
    if how == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return image.resize((size, size), FILTER, box=(left, top, left + side, top + side))
    if how == "pad":
        scale = size / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = Image.new("RGB", (size, size), GREY)
        canvas.paste(image.resize(inner, FILTER), ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return canvas
    return image.resize((size, size), FILTER)


def encode(image: Image.Image, format: str, quality: int) -> bytes:
    """The image as JPEG (4:2:0) or PNG without any metadata: the same bytes every time."""
    buffer = io.BytesIO()
    if format == "png":
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def process(data: bytes, size: int, how: str, format: str, quality: int) -> bytes:
    """From an original file to the stored one; raises what Pillow raises on damaged files."""
    return encode(resize(decode_rgb(data, DRAFT * size), size, how), format, quality)
