"""Image files of every format that is read, made so that nothing is compared with itself."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()  # for writing; readers have to load it themselves

UNDO = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose numbers, by EXIF orientation
WRITTEN = {  # how Pillow writes a format, and the ending
    "JPEG": ("JPEG", {"quality": 95, "subsampling": 0}, ".jpg"),
    "progressive JPEG": ("JPEG", {"quality": 95, "progressive": True}, ".jpg"),
    "MPO": ("MPO", {"quality": 95, "save_all": True}, ".jpg"),
    "PNG": ("PNG", {}, ".png"),
    "WebP": ("WEBP", {"lossless": True}, ".webp"),
    "TIFF": ("TIFF", {}, ".tif"),
    "deflated TIFF": ("TIFF", {"compression": "tiff_deflate"}, ".tiff"),
    "HEIC": ("HEIF", {"quality": 95, "chroma": 444}, ".heic"),
    "AVIF": ("AVIF", {"quality": 95, "speed": 10}, ".avif"),
}


def written(image: Image.Image, name: str, **options: Any) -> bytes:
    """The image as a file of the format `name`, a key of WRITTEN."""
    format, usual, _ = WRITTEN[name]
    buffer = io.BytesIO()
    image.save(buffer, format, **usual, **options)
    return buffer.getvalue()


def tagged(upright: Image.Image, name: str, orientation: int) -> bytes:
    """A file whose pixels are stored so that only the tag turns them upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = UNDO.get(orientation)
    return written(upright if undo is None else upright.transpose(undo), name, exif=exif.tobytes())


def behind_the_pixels(png: bytes) -> bytes:
    """The PNG with its eXIf chunk as the last one before the end."""
    start = png.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(png[start : start + 4], "big")
    return png[:start] + png[end:-12] + png[start:end] + png[-12:]


def deep_png(values: list[int], size: tuple[int, int], channels: int) -> bytes:
    """A PNG of 16 bits a channel; 1: grey, 2: with alpha, 3: RGB, 4: with alpha."""
    width, height = size
    row = 2 * width * channels
    raw = struct.pack(f">{len(values)}H", *values)
    lines = b"".join(b"\0" + raw[start : start + row] for start in range(0, len(raw), row))
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def deep_tiff(
    values: list[int], size: tuple[int, int], channels: int, order: str, packed: bool = False
) -> bytes:
    """A TIFF of 16 bits a channel (1 or 3), `order` < or >, deflated if `packed`."""
    pixels = struct.pack(f"{order}{len(values)}H", *values)
    pixels = zlib.compress(pixels) if packed else pixels
    entries = [
        (256, size[0]), (257, size[1]), (258, 16), (259, 8 if packed else 1),
        (262, 2 if channels == 3 else 1), (273, 0), (277, channels), (278, size[1]),
        (279, len(pixels)),
    ]  # fmt: skip
    bits = 8 + 2 + 12 * len(entries) + 4
    data = bits + 6
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    for tag, value in entries:
        if tag == 258 and channels == 3:
            head += struct.pack(f"{order}HHII", tag, 3, 3, bits)
        elif tag in (273, 279, 256, 257, 278):
            head += struct.pack(f"{order}HHII", tag, 4, 1, data if tag == 273 else value)
        else:
            head += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return head + bytes(4) + struct.pack(f"{order}3H", 16, 16, 16) + pixels
