"""Resizing and encoding."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops

from components.imaging.decoding import GREY, Recipe, decode_rgb, encode, make_stored, resize
from tests.ingest.builders import encoded, photo


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (20, 10), (999, 16), (32, 32)])
def test_any_shape_becomes_square(how: str, size: tuple[int, int]) -> None:
    resized = resize(photo(1, size), 32, how)
    assert resized.size == (32, 32)
    assert resized.mode == "RGB"


def framed() -> Image.Image:
    """90x30: a red third, a green one, a blue one."""
    image = Image.new("RGB", (90, 30), "red")
    image.paste((0, 255, 0), (30, 0, 60, 30))
    image.paste("blue", (60, 0, 90, 30))
    return image


def test_stretch_keeps_everything() -> None:
    resized = resize(framed(), 30, "stretch")
    assert [resized.getpixel((x, 15)) for x in (2, 15, 27)] == [
        (255, 0, 0), (0, 255, 0), (0, 0, 255),
    ]  # fmt: skip


def test_crop_keeps_the_middle_and_the_proportions() -> None:
    resized = resize(framed(), 30, "crop")
    assert resized.getcolors() == [(900, (0, 255, 0))]


def test_pad_keeps_everything_and_the_proportions() -> None:
    resized = resize(framed(), 30, "pad")
    assert [resized.getpixel((x, 15)) for x in (2, 15, 27)] == [
        (255, 0, 0), (0, 255, 0), (0, 0, 255),
    ]  # fmt: skip
    assert resized.getpixel((15, 2)) == resized.getpixel((15, 27)) == GREY


def test_formats() -> None:
    image = photo(1)
    jpeg, png = encode(image, "jpeg", 90), encode(image, "png", 90)
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
    assert ImageChops.difference(Image.open(io.BytesIO(png)), image).getbbox() is None
    assert len(encode(image, "jpeg", 50)) < len(encode(image, "jpeg", 95))


def test_metadata_does_not_get_through() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    recipe = Recipe(32, "stretch", "jpeg", 90)
    data = make_stored(encoded(photo(1), exif=exif.tobytes()), recipe)
    assert b"where I live" not in data
    assert data == make_stored(encoded(photo(1)), recipe)


def test_reduced_decoding_looks_the_same() -> None:
    """A large JPEG is decoded at a fraction of its size; nobody sees the difference."""
    data = encoded(photo(1, (1600, 1200)), quality=92)
    assert decode_rgb(data, 128).width < 400
    quick = resize(decode_rgb(data, 128), 64, "stretch")
    slow = resize(decode_rgb(data), 64, "stretch")
    worst = max(high for _, high in ImageChops.difference(quick, slow).getextrema())
    assert worst <= 6
