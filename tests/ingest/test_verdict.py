"""The verdict on single files: every kind of defect and of repair, and mutated bytes."""

from __future__ import annotations

import random
import struct
import time
import zlib

import pytest
from PIL import Image

from components.imaging.dataset import FINE, LEFT_OUT, REPAIRED
from components.imaging.decoding import Recipe, decode_rgb, make_stored
from components.ingest.layout import File
from components.ingest.verdict import THUMBNAIL, Finding, Limits, examine
from tests.ingest.builders import encoded, photo

LIMITS = Limits(max_megapixels=1, min_side=16, min_contrast=8)
JPEG = encoded(photo(1))


def verdict(data: bytes, path: str = "cat/1.jpg") -> Finding:
    return examine(data, File(path, "cat"), LIMITS)


def with_orientation(number: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    return encoded(photo(1), exif=exif.tobytes())


def deep(image: Image.Image) -> Image.Image:
    """The image in grey with 16 bits."""
    return image.convert("I").point(lambda value: value * 257).convert("I;16")


def bomb(side: int) -> bytes:
    """A PNG whose header declares more pixels than anybody wants."""
    png = bytearray(encoded(photo(1), "PNG"))
    png[16:24] = struct.pack(">II", side, side)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    return bytes(png)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>404 not found</html>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (JPEG[:200], "truncated"),
        (encoded(photo(1), "PNG")[:-500], "truncated"),
        (encoded(photo(1, (1, 1))), "too small: 1x1 pixels"),
        (encoded(photo(1, (400, 15))), "too small: 400x15 pixels"),
        (encoded(Image.new("RGB", (300, 300), "white")), "blank"),
        (encoded(Image.new("P", (30, 30)), "PNG"), "blank"),
        (encoded(photo(1, (1200, 1200))), "too large: 1200x1200 pixels"),
        (bomb(10_000), "too large: 10000x10000 pixels"),
        (bomb(60_000), "too large: over 1 megapixels"),
    ],
)
def test_a_defect_is_left_out_with_its_reason(data: bytes, reason: str) -> None:
    found = verdict(data)
    assert found.verdict == LEFT_OUT
    assert found.reason.startswith(reason)
    assert len(found.sha256) == 64


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (JPEG, "a.jpg", ""),
        (JPEG, "a.JPEG", ""),
        (JPEG + bytes(4096), "a.jpg", ""),
        (encoded(photo(1), "PNG"), "a.png", ""),
        (encoded(photo(1), "MPO", save_all=True, append_images=[photo(2)]), "a.jpg", ""),
        (encoded(photo(1), "WEBP"), "a.webp", ""),
        (encoded(photo(1), "TIFF"), "a.tif", ""),
        (encoded(photo(1), "BMP"), "a.jpg", "BMP named .jpg"),
        (encoded(photo(1), "GIF"), "a.jpg", "GIF named .jpg, palette colours"),
        (JPEG, "a", "JPEG named without ending"),
        (encoded(photo(1, mode="RGBA"), "PNG"), "a.png", "transparency on white"),
        (encoded(photo(1, mode="LA"), "PNG"), "a.png", "transparency on white"),
        (encoded(photo(1, mode="CMYK")), "a.jpg", "CMYK colours"),
        (encoded(photo(1, mode="L")), "a.jpg", "greyscale"),
        (encoded(photo(1, mode="1"), "PNG"), "a.png", "greyscale"),
        (encoded(deep(photo(1)), "PNG"), "a.png", "more than 8 bits"),
        (encoded(photo(1, mode="LAB"), "TIFF"), "a.tif", "LAB colours"),
        (with_orientation(1), "a.jpg", ""),
        (with_orientation(6), "a.jpg", "turned upright"),
    ],
)
def test_what_decodes_is_fine_or_repaired(data: bytes, path: str, reason: str) -> None:
    found = verdict(data, path)
    assert (found.verdict, found.reason) == (REPAIRED if reason else FINE, reason)
    assert len(found.thumbnail) == THUMBNAIL**2
    assert (found.width, found.height) == decode_rgb(data).size
    make_stored(data, Recipe(16, "stretch", "jpeg", 90))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation: int) -> None:
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste("black", (0, 0, 10, 10))  # a corner to tell all eight apart
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose numbers
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    data = encoded(stored, "PNG", exif=exif.tobytes())
    decoded = decode_rgb(data)
    assert decoded.size == (40, 20)
    assert decoded.getpixel((2, 2)) == (0, 0, 0)
    assert all(decoded.getpixel(p) == (255,) * 3 for p in ((37, 2), (2, 17), (37, 17)))
    found = verdict(data)
    assert (found.width, found.height) == (40, 20)
    assert found.thumbnail[0] < 20 < found.thumbnail[-1]


def test_transparent_is_white_and_16_bits_become_8() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert decode_rgb(encoded(clear, "PNG")).getpixel((5, 5)) == (255, 255, 255)
    grey = deep(Image.new("L", (20, 20), 128))
    assert decode_rgb(encoded(grey, "PNG")).getpixel((5, 5)) == (128, 128, 128)


def test_a_damaged_image_is_shown_as_far_as_it_goes() -> None:
    assert decode_rgb(verdict(JPEG[: len(JPEG) * 2 // 3]).picture).width > 10
    assert verdict(b"text").picture == b""


def mutants(count: int) -> list[bytes]:
    """Files with bytes flipped, cut, inserted, and headers changed."""
    dice = random.Random(5)
    made = []
    originals = [
        encoded(photo(n, mode=mode), format)
        for n, (format, mode) in enumerate(
            [("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("GIF", "P"),
             ("BMP", "RGB"), ("WEBP", "RGB"), ("TIFF", "RGB"), ("JPEG", "L")]
        )
    ]  # fmt: skip
    originals += [encoded(photo(3), progressive=True), with_orientation(6)]
    for number in range(count):
        data = bytearray(originals[number % len(originals)])
        kind = dice.randrange(4)
        reach = len(data) if kind else 64
        if kind == 2:
            del data[dice.randrange(len(data)) :]
        elif kind == 3:
            place = dice.randrange(len(data))
            data[place:place] = dice.randbytes(dice.randrange(1, 40))
        else:  # 0: in the header
            for _ in range(dice.randrange(1, 12)):
                data[dice.randrange(reach)] = dice.randrange(256)
        made.append(bytes(data))
    return made


@pytest.mark.filterwarnings("ignore")
def test_2000_mutated_files_get_a_verdict_and_do_not_crash() -> None:
    for data in mutants(2000):
        start = time.monotonic()
        found = verdict(data)
        assert found.verdict in (FINE, REPAIRED, LEFT_OUT)
        assert bool(found.reason) or found.verdict == FINE
        if found.verdict != LEFT_OUT:  # what passes the audit is good for preprocess
            make_stored(data, Recipe(16, "stretch", "jpeg", 90))
        assert time.monotonic() - start < 10
