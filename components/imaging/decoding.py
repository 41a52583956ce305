"""From an image file from anywhere to what a model sees of it, the same way wherever that is done.

Pillow, pillow-heif for HEIC, and nothing of this project: an export ships this file as it is.
"""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image, ImageFile, ImageMath, UnidentifiedImageError

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
    "HEIF": (".heic", ".heif", ".hif", ".heics", ".heifs"),
    "AVIF": (".avif", ".avifs"),
}
LOADED_WHEN_MET = ("MPO", "HEIF", "AVIF")  # by `_opened`, and MPO by Pillow as a kind of JPEG
FORMATS = tuple(name for name in SUFFIXES if name not in LOADED_WHEN_MET)
SHRINKABLE = ("JPEG", "MPO")  # which decode at a fraction of their size
MAX_MEGAPIXELS = 64.0  # unless told otherwise; the header decides, before any pixel is decoded

ORIENTATION = 0x0112  # EXIF tag
METADATA = {"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"}  # which may hold it
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
MOST = 3e38  # about the largest float of 32 bits
STRIP = 1_000_000  # pixels converted at a time, to bound memory
GREY_ALPHA = {"LA;16B": "RGBA"}  # read so, red and green are the bytes of grey
OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

# What is not decoded, by how it begins, and what to do. Camera raw and HEIC share the beginnings of
# TIFF and MP4, so `_opened` has looked before.
RAW = "camera raw: export it as JPEG with the camera's program"
CONVERT = "convert it to JPEG or PNG"
UNREADABLE = "header that can't be read"
KINDS = tuple(
    (re.compile(pattern, re.DOTALL), told)
    for pattern, told in (
        (rb"\0\0\0\x0cjP  |\xffO\xffQ", f"JPEG 2000: {CONVERT}"),
        (rb"\0\0\0\x0cJXL |\xff\n", f"JPEG XL: {CONVERT}"),
        (rb"II\xbc", f"JPEG XR: {CONVERT}"),
        (rb"8BPS", "Photoshop document: export it as JPEG or PNG"),
        (rb"gimp xcf", "GIMP image: export it as JPEG or PNG"),
        (rb"FUJIFILMCCD-RAW|II.{4}HEAPCCDR|FOVb|\0MRM|IIR[OS]|MMOR|IIU\0|.{4}ftypcrx", RAW),
        (rb"v/1\x01|#\?(RADIANCE|RGBE)", f"HDR image: {CONVERT}"),
        (rb"\0\0[\1\2]\0[\1-\x40]\0|icns", f"icon: {CONVERT}"),
        (rb"P[1-7Ff]\s", f"Netpbm image: {CONVERT}"),
        (rb"DDS |BLP[12]|qoif|\x01\xda[\0\1][\1\2]|/\* XPM|BPG\xfb|FLIF|id=ImageMagick|"
         rb"FORM.{4}ILBM|\x59\xa6\x6a\x95|\n[\0-\5]\x01[\1\2\4\x08]|SIMPLE  =",
         f"unusual image format: {CONVERT}"),
        (rb".{128}DICM", f"DICOM image: {CONVERT}"),
        (rb"AT&TFORM", "DjVu document: export its pages as JPEG or PNG"),
        (rb"%PDF", "PDF document: export its pages as JPEG or PNG"),
        (rb"%!PS|\xc5\xd0\xd3\xc6", "not an image: PostScript, export it as PNG"),
        (rb"(\xef\xbb\xbf)?\s*<(?i:!doctype html|html)", "not an image: a web page"),
        (rb"(\xef\xbb\xbf)?\s*<(svg|.{0,4000}<svg)|\x1f\x8b.{0,40}\.svg",
         "SVG drawing: export it as PNG"),
        (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "Windows metafile: export it as PNG"),
        (rb".{4}(ftyp|moov|mdat|wide|[\x11\x12]\xaf)|RIFF.{4}AVI |\x1a\x45\xdf\xa3|FLV\x01|"
         rb"\0\0\x01[\xb3\xba]|\x30\x26\xb2\x75", "video: save single frames as JPEG"),
        (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b|BZh\d1AY|\xfd7zXZ|.{257}ustar",
         "archive: unpack it, or ingest it as an archive"),
        (rb"II[*+]\0|MM\0[*+]", "TIFF of an unusual kind: save it as JPEG or PNG"),
        (rb"\xff\xd8\xff", f"damaged: JPEG {UNREADABLE}"),
        (rb"\x89PNG", f"damaged: PNG {UNREADABLE}"),
        (rb"GIF8", f"damaged: GIF {UNREADABLE}"),
        (rb"RIFF.{4}WEBP", f"damaged: WebP {UNREADABLE}"),
    )
)  # fmt: skip


class Recipe(NamedTuple):
    """How the images that a model was trained on were made of photos."""

    size: int  # pixels a side
    resize: str  # stretch, crop or pad
    format: str  # jpeg or png: as what the dataset keeps them
    quality: int  # of a JPEG, 1-100


class Refused(ValueError):
    """A file is not decoded; the text, such as `too large: ...`, says why and what to do."""

    def __init__(self, reason: str, size: tuple[int, int] = (0, 0)) -> None:
        """`size`: width and height in pixels, where they are known."""
        super().__init__(reason)
        self.size = size


def open_image(data: bytes, max_megapixels: float = MAX_MEGAPIXELS) -> ImageFile.ImageFile:
    """The image's header, pixels not decoded yet.

    Refused when it is of another kind or has too many pixels; damaged ones may raise anything.
    """
    try:
        image = _opened(data)
    except Image.DecompressionBombError:
        raise Refused(f"too large: over {max_megapixels:g} megapixels") from None
    except (UnidentifiedImageError, SyntaxError) as error:
        told = " ".join(str(error).split())[:100]
        raise Refused(_kind(data) or f"damaged: {told}") from None
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        raise Refused(f"too large: {width}x{height} pixels", image.size)
    return image


def _opened(data: bytes) -> ImageFile.ImageFile:
    stream = io.BytesIO(data)
    if data[4:8] == b"ftyp":
        brands = data[8 : min(200, int.from_bytes(data[:4], "big"))]
        if re.search(b"avi[fs]", brands):
            from PIL.AvifImagePlugin import AvifImageFile

            return AvifImageFile(stream)
        if re.search(b"hei[cxms]|hev[cxms]|mif1|msf1", brands):
            try:
                from pillow_heif import HeifImageFile
            except ImportError:
                raise Refused("HEIC photo: install pillow-heif, or convert it to JPEG") from None
            return HeifImageFile(stream)
    if data[:4] in (b"II*\0", b"MM\0*") and _is_camera_raw(stream, data[:16]):
        raise Refused(RAW)
    return Image.open(stream, formats=FORMATS)


def _is_camera_raw(stream: io.BytesIO, head: bytes) -> bool:
    """Whether a TIFF is a raw file, of which Pillow would decode the thumbnail, or nothing."""
    if head[8:10] == b"CR" or head[8:12] == b"IIII":  # Canon's and Phase One's
        return True
    tags = TiffImagePlugin.ImageFileDirectory_v2(head[:8])
    stream.seek(tags.next)
    tags.load(stream)
    stream.seek(0)
    dng, reduced, sensor = 0xC612 in tags, tags.get(254) == 1, tags.get(262) in (32803, 34892)
    return dng or reduced or sensor


def _kind(data: bytes) -> str:
    """What a file is that Pillow can't open, and what to do; empty for a damaged HEIC or AVIF."""
    if data[4:8] == b"ftyp" and re.search(b"avif|hei|hev|mif1", data[8:32]):
        return ""
    if data[-18:-2] == b"TRUEVISION-XFILE":
        return f"Targa image: {CONVERT}"
    return next((told for begins, told in KINDS if begins.match(data)), "not an image")


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What turns the pixels upright by the EXIF orientation; None when nothing does.

    Once the pixels are loaded it is what is left to do: Pillow turns a TIFF while loading it.
    """
    if image.format != "TIFF" and not METADATA & image.info.keys():
        return None  # the common case, without the cost of parsing
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged metadata of a picture that may be good
        return None


def was_turned(image: Image.Image) -> bool:
    """Whether an image whose header alone is read says so; a PNG may say it behind its pixels."""
    if image.format == "PNG":
        return False  # or Pillow would load it
    return (image.info.get("original_orientation") or 1) != 1 or turn_of(image) is not None


def has_alpha(image: Image.Image) -> bool:
    """Whether pixels may be transparent."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether an image whose header alone is read has more than 8 bits a channel."""
    return image.mode[0] in "IF" or bool(_deep_tiles(image))


def opaque(image: ImageFile.ImageFile, mode: str) -> Image.Image:
    """Decode into `mode` (RGB or L), not turned yet; transparent pixels become white.

    More than 8 bits a channel are stretched: the lowest value that the image has becomes 0 and the
    highest 255, of all channels together. Where there is but one value v, it becomes v / 257.
    """
    low = _low_bytes(image)
    image.load()
    deep = low is not None or image.mode[0] in "IF"
    if image.mode == mode and not deep and not has_alpha(image):
        return image
    stretch = _stretch(image, low) if deep else None
    done = Image.new(mode, image.size)
    for top, strip, low_strip in _strips(image, low):
        if stretch:
            strip = _reduced(strip, low_strip, *stretch)
        if has_alpha(strip):
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        elif strip.mode == "LAB":
            strip = strip.convert("RGB")  # the one way out of it
        done.paste(strip.convert(mode), (0, top))
    return done


def _deep_tiles(image: ImageFile.ImageFile) -> list:
    """How to decode the lower bytes of an RGB image of 16 bits; Pillow decodes the upper ones."""
    tiles: list = []
    if image.format not in ("PNG", "TIFF") or image.mode not in ("RGB", "RGBA"):
        return tiles
    for tile in image.tile:
        coding, *rest = (tile.args,) if isinstance(tile.args, str) else tile.args or ("",)
        if isinstance(coding, str) and coding[-4:-1] == ";16":
            coding = GREY_ALPHA.get(coding) or coding[:-1] + OTHER_BYTE[coding[-1]]
            tiles.append(tile._replace(args=(coding, *rest) if rest else coding))
    return tiles


def _low_bytes(image: ImageFile.ImageFile) -> Image.Image | None:
    """The lower bytes of an RGB image of 16 bits a channel that is not loaded yet, as an image."""
    tiles = _deep_tiles(image)
    if not tiles:
        return None
    low = Image.open(io.BytesIO(image.fp.getvalue()), formats=(image.format,))
    low.tile = tiles
    low.load()
    grey = tiles[0].args in GREY_ALPHA.values()
    return Image.merge("RGB", 3 * [low.getchannel("G")]) if grey else low


def _strips(image: Image.Image, low: Image.Image | None) -> Iterator[tuple]:
    """Number of the first row and pixels of strips, and of the same strips of `low`."""
    width, height = image.size
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        yield top, image.crop(box), low and low.crop(box)


def _values(strip: Image.Image, low: Image.Image | None) -> list[Image.Image]:
    """The channels with all their bits, as floats; alpha is not among them."""
    if low is None:
        return [strip if strip.mode == "F" else strip.convert("I").convert("F")]
    return [
        ImageMath.lambda_eval(lambda a: a["float"](a["high"] * 256 + a["low"]), high=one, low=other)
        for one, other in zip(strip.split()[:3], low.split()[:3], strict=True)
    ]


def _stretch(image: Image.Image, low: Image.Image | None) -> tuple[float, float]:
    """Factor and offset that turn the values in use into 0-255."""
    ends = [_ends(values) for _, *both in _strips(image, low) for values in _values(*both)]
    lowest, highest = min(pair[0] for pair in ends), max(pair[1] for pair in ends)
    if lowest >= highest:
        return 1 / 257, 0.0
    factor = 255 / (highest - lowest)
    return factor, -lowest * factor


def _ends(values: Image.Image) -> tuple[float, float]:
    """The lowest and the highest finite value; scientific images hold others for `not measured`."""
    ends = values.getextrema()
    if all(map(math.isfinite, ends)):
        return ends
    odd = ImageMath.lambda_eval(lambda a: 255 * (a["v"] - a["v"] != 0), v=values).convert("L")
    ends = []
    for filling in (MOST, -MOST):
        values.paste(filling, mask=odd)
        ends.append(values.getextrema())
    return ends[0][0], ends[1][1]


def _reduced(
    strip: Image.Image, low: Image.Image | None, factor: float, offset: float
) -> Image.Image:
    """The strip with 8 bits a channel."""
    bands = [
        values.point(lambda value: value * factor + (offset + 0.5)).convert("L")
        for values in _values(strip, low)
    ]
    if strip.mode == "RGBA":
        bands.append(strip.getchannel("A"))
    return Image.merge({1: "L", 3: "RGB", 4: "RGBA"}[len(bands)], bands)


def decode_rgb(
    data: bytes, at_least: int = 0, max_megapixels: float = MAX_MEGAPIXELS
) -> Image.Image:
    """Upright RGB pixels, [height, width, 3], 0-255.

    `at_least` allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides keep
    that many pixels (0: never): many times faster for large photos, and an exact box filter.
    Raises Refused, OSError, or whatever Pillow raises on damaged files.
    """
    image = open_image(data, max_megapixels)
    if at_least and image.format in SHRINKABLE:
        image.draft("RGB", (at_least, at_least))
    rgb = opaque(image, "RGB")
    turn = turn_of(image)
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


def make_stored(data: bytes, recipe: Recipe, max_megapixels: float = MAX_MEGAPIXELS) -> bytes:
    """From an original file to the one in a dataset; raises as `decode_rgb` does."""
    return encode(_made_square(data, recipe, max_megapixels), recipe.format, recipe.quality)


def as_trained(data: bytes, recipe: Recipe, max_megapixels: float = MAX_MEGAPIXELS) -> Image.Image:
    """What a model sees of an original file: to the bit what is decoded from `make_stored`."""
    image = _made_square(data, recipe, max_megapixels)
    if recipe.format == "png":
        return image
    data = encode(image, recipe.format, recipe.quality)
    return Image.frombytes("RGB", image.size, data, "jpeg", "RGB", "")  # Image.open takes longer


def _made_square(data: bytes, recipe: Recipe, max_megapixels: float) -> Image.Image:
    image = decode_rgb(data, DRAFT * recipe.size, max_megapixels)
    return resize(image, recipe.size, recipe.resize)
