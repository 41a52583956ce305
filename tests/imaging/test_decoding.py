"""Every format: upright once, no larger than the limit, deep ones stretched, others named."""

from __future__ import annotations

import io
import math
import random
import subprocess
import sys

import pytest
from PIL import Image, ImageChops, ImageStat
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from components.imaging.dataset import FINE, REPAIRED
from components.imaging.decoding import KINDS, Recipe, Refused, decode_rgb, make_stored, open_image
from components.ingest.layout import File
from components.ingest.verdict import THUMBNAIL, Limits, examine
from components.predict.photos import Limits as PredictLimits
from components.predict.photos import read_photo
from tests.checkout import ROOT
from tests.ingest.builders import encoded, photo
from tests.ingest.formats import (
    WRITTEN,
    behind_the_pixels,
    deep_png,
    deep_tiff,
    tagged,
    written,
)

LIMITS = Limits(max_megapixels=1, min_side=16, min_contrast=8)
UPRIGHT = photo(5, (96, 64))  # all eight ways of turning it differ


def gap(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two images, 0-255."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def ramp(highest: int, count: int = 64 * 48) -> list[int]:
    return [round(place * highest / (count - 1)) for place in range(count)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_comes_upright_once(name: str, orientation: int, tmp_path) -> None:
    data = tagged(UPRIGHT, name, orientation)
    path = tmp_path / f"photo{WRITTEN[name][2]}"
    path.write_bytes(data)
    assert gap(decode_rgb(data), UPRIGHT) < 3
    found = examine(data, File(path.name, "cat"), LIMITS)
    assert (found.width, found.height) == UPRIGHT.size
    assert found.reason == ("turned upright" if orientation > 1 else "")
    assert found.verdict == (REPAIRED if orientation > 1 else FINE)
    wanted = UPRIGHT.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    assert gap(Image.frombytes("L", wanted.size, found.thumbnail), wanted) < 4
    recipe = Recipe(32, "stretch", "png", 0)
    wanted = UPRIGHT.resize((32, 32), Image.Resampling.BILINEAR)
    stored = Image.open(io.BytesIO(make_stored(data, recipe)))
    assert gap(stored, wanted) < 4
    assert read_photo(recipe, str(path)).pixels == stored.tobytes()


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_png_may_tell_its_orientation_behind_its_pixels(orientation: int) -> None:
    data = behind_the_pixels(tagged(UPRIGHT, "PNG", orientation))
    assert gap(decode_rgb(data), UPRIGHT) == 0
    found = examine(data, File("a.png", "cat"), LIMITS)
    assert found.reason == ("turned upright" if orientation > 1 else "")
    assert (found.width, found.height) == UPRIGHT.size


@pytest.mark.filterwarnings("ignore")
def test_damaged_metadata_do_not_spoil_a_photo() -> None:
    data = encoded(UPRIGHT, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(30))
    assert examine(data, File("a.jpg", "cat"), LIMITS).verdict == FINE
    assert gap(decode_rgb(data), UPRIGHT) < 10


@pytest.mark.parametrize("bits", [9, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_deep_png_is_stretched_by_the_values_in_use(bits: int, channels: int) -> None:
    top = 2**bits - 1
    alpha = channels in (2, 4)
    values = [
        value
        for place in range(64 * 48)
        for value in [*(channels - alpha) * [round(place * top / (64 * 48 - 1))], *alpha * [65535]]
    ]
    data = deep_png(values, (64, 48), channels)
    decoded = decode_rgb(data).getchannel("R").tobytes()
    wanted = ramp(255)
    assert max(abs(one - other) for one, other in zip(decoded, wanted, strict=True)) <= 1
    assert "more than 8 bits" in examine(data, File("a.png", "cat"), LIMITS).reason


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_deep_tiff_is_stretched_by_the_values_in_use(
    channels: int, order: str, packed: bool
) -> None:
    values = [300 + value for value in ramp(4000) for _ in range(channels)]
    data = deep_tiff(values, (64, 48), channels, order, packed)
    decoded = decode_rgb(data).getchannel("B").tobytes()
    assert max(abs(one - other) for one, other in zip(decoded, ramp(255), strict=True)) <= 1


def test_the_channels_of_a_deep_image_are_stretched_together() -> None:
    values = [value for green in ramp(1000) for value in (4000, green, 0)]
    left = decode_rgb(deep_png(values, (64, 48), 3)).getpixel((63, 47))
    assert left == (255, 64, 0)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_do_not_count(odd: float) -> None:
    floats = Image.new("F", (64, 48))
    floats.putdata([odd if place % 7 == 0 else value / 9 for place, value in enumerate(ramp(50))])
    decoded = decode_rgb(encoded(floats, "TIFF")).getchannel("R").tobytes()
    wanted = ramp(255)
    gaps = [abs(decoded[place] - wanted[place]) for place in range(64 * 48) if place % 7]
    assert max(gaps) <= 4


BEGINNINGS = {  # of files that are no photos to decode
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xffO\xffQ\0\x2f": "JPEG 2000",
    b"\xff\n\xfa\x1f": "JPEG XL",
    b"8BPS\0\1": "Photoshop document",
    b"II*\0\x10\0\0\0CR\2\0": "camera raw",
    b"\0\0\0\x18ftypcrx \0\0\0\1crx isom": "camera raw",
    b"FUJIFILMCCD-RAW 0201": "camera raw",
    b"IIRO\x08\0\0\0": "camera raw",
    b"IIU\0\x18\0\0\0": "camera raw",
    b"\0\0\1\0\1\0\x10\x10": "icon",
    b"%PDF-1.7": "PDF document",
    b'<?xml version="1.0"?>\n<svg width="9">': "SVG drawing",
    b"\0\0\0\x20ftypisom\0\0\2\0isomiso2": "video",
    b"\0\0\0\x14ftypqt  \0\0\0\0qt  ": "video",
    b"\x1a\x45\xdf\xa3\x9f\x42": "video",
    b"RIFF\0\0\1\0AVI LIST": "video",
    b"PK\3\4\x14\0": "archive",
    bytes(128) + b"DICM": "DICOM image",
}


@pytest.mark.parametrize(("beginning", "kind"), BEGINNINGS.items(), ids=BEGINNINGS.values())
def test_what_is_not_decoded_is_named_with_what_to_do(beginning, kind: str, tmp_path) -> None:
    data = beginning + bytes(2000)
    with pytest.raises(Refused, match=f"^{kind}: [a-z]"):
        open_image(data)
    assert examine(data, File("a.jpg", "cat"), LIMITS).reason.startswith(f"{kind}: ")
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_photo(Recipe(8, "pad", "png", 0), str(tmp_path / "a.jpg")).problem.startswith(
        f"is {kind}: "
    )


@pytest.mark.parametrize("tag", [(0xC612, b"\1\4\0\0"), (254, 1), (262, 32803)])
def test_a_raw_file_that_looks_like_a_tiff_is_not_its_thumbnail(tag) -> None:
    """Digital negatives and those of Nikon, Sony and others begin with a small ordinary picture."""
    tags = ImageFileDirectory_v2()
    tags[tag[0]] = tag[1]
    data = encoded(photo(1), "TIFF", tiffinfo=tags)
    if tag[0] == 262:  # which Pillow writes itself
        place = data.index(b"\x06\x01\x03\x00\x01\x00\x00\x00") + 8
        data = data[:place] + (32803).to_bytes(2, "little") + data[place + 2 :]
    with pytest.raises(Refused, match="camera raw: export it as JPEG"):
        open_image(data)


def test_random_bytes_have_no_name() -> None:
    dice = random.Random(1)
    kinds = [open_refused(dice.randbytes(300)) for _ in range(300)]
    assert set(kinds) == {"not an image"}


def open_refused(data: bytes) -> str:
    with pytest.raises(Refused) as refused:
        open_image(data)
    return str(refused.value)


def test_each_kind_says_what_it_is_before_a_colon() -> None:
    assert all(": " in told for _, told in KINDS)


@pytest.mark.parametrize("name", WRITTEN)
def test_one_limit_for_all_formats_and_readers(name: str, tmp_path, monkeypatch) -> None:
    data = written(photo(1, (400, 300)), name)
    path = tmp_path / f"a{WRITTEN[name][2]}"
    path.write_bytes(data)
    told = "too large: 400x300 pixels"
    recipe = Recipe(8, "pad", "png", 0)
    assert read_photo(recipe, str(path), PredictLimits(0.12, 1)).problem == ""
    for kind in (type(open_image(data)), Image.Image):  # nobody loads a pixel
        monkeypatch.setattr(kind, "load", None)
    with pytest.raises(Refused, match=told):
        decode_rgb(data, max_megapixels=0.1)
    found = examine(data, File(path.name, "cat"), LIMITS._replace(max_megapixels=0.1))
    assert (found.reason, found.picture) == (told, b"")
    assert read_photo(recipe, str(path), PredictLimits(0.1, 1)).problem == f"is {told}"
    assert read_photo(recipe, str(path), PredictLimits(1, 0.0001)).problem == "is too large: 0 MB"


def test_heic_without_its_library_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(Refused, match="HEIC photo: install pillow-heif"):
        open_image(written(photo(1), "HEIC"))


def test_libraries_of_rare_formats_are_loaded_when_met() -> None:
    code = (
        "import sys; import components.imaging.decoding as d\n"
        "rare = {'pillow_heif', 'PIL.AvifImagePlugin', 'numpy', 'PIL.ImageCms'}\n"
        "sys.exit(bool(rare & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
