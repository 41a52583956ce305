"""From an image file from anywhere to what a model sees of it, the same way wherever that is done.

Pillow only, and nothing of this project: an export ships this file as it is.
"""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image, ImageFile, ImageOps

# Registered one by one: Pillow's own registration imports every plugin, Ghostscript's too.
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin  # noqa: F401  isort: skip
from PIL import PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401  isort: skip

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
FORMATS = tuple(name for name in SUFFIXES if name != "MPO")  # MPO is opened as a JPEG
ORIENTATION = 0x0112  # EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = tuple(TURNS[number] for number in (5, 6, 7, 8))  # these swap width and height

GREY = (128, 128, 128)  # of the bars that `pad` adds
FILTER = Image.Resampling.BILINEAR  # Pillow widens it when shrinking, so nothing aliases
REDUCE = 1.0  # whole-number shrinking by averages goes before the filter: a fifth faster
DRAFT = 2  # a JPEG may be decoded at a fraction of its size that is at least this times the target


class Recipe(NamedTuple):
    """How the images that a model was trained on were made of photos."""

    size: int  # pixels a side
    resize: str  # stretch, crop or pad
    format: str  # jpeg or png: as what the dataset keeps them
    quality: int  # of a JPEG, 1-100


def open_image(data: bytes) -> ImageFile.ImageFile:
    """The image's header, pixels not decoded yet; UnidentifiedImageError when it is no image."""
    return Image.open(io.BytesIO(data), formats=FORMATS)


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What turns the image upright according to its EXIF orientation; None when nothing does."""
    if image.format == "JPEG" and "exif" not in image.info:
        return None  # the common case, without the cost of parsing
    return TURNS.get(image.getexif().get(ORIENTATION, 1))


def has_alpha(image: Image.Image) -> bool:
    """Whether pixels may be transparent."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def opaque(image: Image.Image, mode: str) -> Image.Image:
    """Decode into `mode` (RGB or L); transparent pixels become white, 16 bits become 8."""
    if has_alpha(image):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    elif image.mode.startswith("I"):
        image = image.convert("I").point([value / 257 for value in range(65536)], "L")
    elif image.mode == "F":
        image = ImageOps.autocontrast(image.convert("L"))
    return image if image.mode == mode else image.convert(mode)


def decode_rgb(data: bytes, at_least: int = 0) -> Image.Image:
    """Upright RGB pixels, [height, width, 3], 0-255.

    `at_least` allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides keep
    that many pixels (0: never): many times faster for large photos, and an exact box filter.
    Raises OSError, or whatever Pillow raises on damaged files.
    """
    image = open_image(data)
    turn = turn_of(image)
    if at_least:
        image.draft("RGB", (at_least, at_least))
    rgb = opaque(image, "RGB")
    return rgb if turn is None else rgb.transpose(turn)


def resize(image: Image.Image, size: int, how: str) -> Image.Image:
    """A square RGB image of `size` x `size` pixels; `how`: stretch, crop or pad."""
    width, height = image.size
    if how == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        return image.resize((size, size), FILTER, box, REDUCE)
    if how == "pad":
        scale = size / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = Image.new("RGB", (size, size), GREY)
        canvas.paste(
            image.resize(inner, FILTER, None, REDUCE),
            ((size - inner[0]) // 2, (size - inner[1]) // 2),
        )
        return canvas
    return image.resize((size, size), FILTER, None, REDUCE)


def encode(image: Image.Image, format: str, quality: int) -> bytes:
    """The image as JPEG (4:2:0) or PNG without any metadata: the same bytes every time."""
    buffer = io.BytesIO()
    if format == "png":
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def make_stored(data: bytes, recipe: Recipe) -> bytes:
    """From an original file to the one in a dataset; raises as `decode_rgb` does."""
    return encode(_made_square(data, recipe), recipe.format, recipe.quality)


def as_trained(data: bytes, recipe: Recipe) -> Image.Image:
    """What a model sees of an original file: to the bit what is decoded from `make_stored`."""
    image = _made_square(data, recipe)
    if recipe.format == "png":
        return image
    data = encode(image, recipe.format, recipe.quality)
    return Image.frombytes("RGB", image.size, data, "jpeg", "RGB", "")  # Image.open takes longer


def _made_square(data: bytes, recipe: Recipe) -> Image.Image:
    return resize(decode_rgb(data, DRAFT * recipe.size), recipe.size, recipe.resize)
