"""Damage that decoders pass over is found, and what only looks like it is not."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from components.imaging.dataset import LEFT_OUT, load_images
from components.ingest.audit import build_raw_dataset
from components.ingest.layout import File
from components.ingest.verdict import Finding, Limits, examine
from tests.ingest.builders import encoded, fill, ingest_settings, photo, photos
from tests.ingest.formats import written

SIZE = (320, 240)
PHOTO = photo(1, SIZE)
LIMITS = Limits(max_megapixels=1, min_side=16, min_contrast=8, max_missing_fraction=0.02)


def verdict(data: bytes, limits: Limits = LIMITS) -> Finding:
    return examine(data, File("a", "cat"), limits)


def cut(jpeg: bytes, share: float = 1 / 3) -> bytes:
    """That share of the file, and an end marker."""
    return jpeg[: round(len(jpeg) * share)] + b"\xff\xd9"


def zeroed(data: bytes, start: float, end: float) -> bytes:
    first, last = (round(len(data) * share) for share in (start, end))
    return data[:first] + bytes(last - first) + data[last:]


def first_picture_cut(mpo: bytes) -> bytes:
    start = mpo.index(b"\xff\xda")
    end = mpo.index(b"\xff\xd9", start)
    return mpo[: start + (end - start) // 3] + mpo[end:]


DAMAGED = {
    "baseline": cut(encoded(PHOTO)),
    "a little": cut(encoded(PHOTO), 0.9),
    "colours in full": cut(encoded(PHOTO, subsampling=0)),
    "restarts": cut(encoded(PHOTO, restart_marker_rows=1)),
    "restarts amid rows": cut(encoded(PHOTO, restart_marker_blocks=7)),
    "progressive": cut(encoded(PHOTO, progressive=True)),
    "progressive, half": cut(encoded(PHOTO, progressive=True), 0.5),
    "grey": cut(encoded(PHOTO.convert("L"))),
    "CMYK": cut(encoded(PHOTO.convert("CMYK"))),
    "large": cut(encoded(photo(1, (1100, 900)))),
    "MPO": first_picture_cut(encoded(PHOTO, "MPO", save_all=True, append_images=[photo(2)])),
    "zeros to the end": zeroed(encoded(PHOTO, optimize=True), 0.4, 1),
    "WebP": zeroed(encoded(PHOTO, "WEBP"), 0.4, 1),
    "HEIC": zeroed(written(PHOTO, "HEIC"), 0.8, 1),
    "TIFF strip": zeroed(encoded(PHOTO, "TIFF"), 0.3, 0.5),
    "TIFF end": zeroed(encoded(PHOTO, "TIFF"), 0.6, 1),
    "deep TIFF": zeroed(encoded(PHOTO.convert("F"), "TIFF"), 0.3, 0.5),
    "BMP": zeroed(encoded(PHOTO, "BMP"), 0.3, 1),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damage_that_decoders_forgive_is_found_and_shown(data: bytes) -> None:
    Image.open(io.BytesIO(data)).load()  # the decoder says nothing
    found = verdict(data)
    assert found.verdict == LEFT_OUT
    assert re.fullmatch(r"damaged: \d+% of the picture is missing", found.reason)
    assert Image.open(io.BytesIO(found.picture)).width > 50
    assert verdict(data, LIMITS._replace(max_missing_fraction=1)).verdict != LEFT_OUT


def test_the_share_that_is_missing_is_told() -> None:
    rows = {share: verdict(cut(encoded(PHOTO), share)).reason for share in (0.25, 0.5, 0.75)}
    for share, reason in rows.items():
        assert abs(int(re.findall(r"\d+", reason)[0]) - 100 * (1 - share)) < 12


def half(colour: object) -> Image.Image:
    """The lower half is of one colour, as with a bar or a bright background."""
    image = PHOTO.copy()
    image.paste(colour, (0, SIZE[1] // 2, *SIZE))
    return image


def bars() -> Image.Image:
    image = Image.new("RGB", SIZE)
    image.paste(PHOTO.resize((SIZE[0], SIZE[1] // 2)), (0, SIZE[1] // 4))
    return image


def on_black() -> Image.Image:
    """Something round before a black background."""
    mask = Image.radial_gradient("L").resize(SIZE).point(lambda value: 255 * (value < 90))
    image = Image.new("RGB", SIZE)
    image.paste(PHOTO, (0, 0), mask)
    return image


WHOLE = {
    "grey below": encoded(half((128, 128, 128))),
    "grey below, progressive": encoded(half((128, 128, 128)), progressive=True),
    "grey below, restarts": encoded(half((128, 128, 128)), restart_marker_rows=1),
    "white below": encoded(half("white"), optimize=True),
    "black below": encoded(half("black"), optimize=True),
    "zeros behind": encoded(PHOTO) + bytes(100_000),
    "zeros behind WebP": encoded(PHOTO, "WEBP") + bytes(100_000),
    "zeros behind HEIC": written(PHOTO, "HEIC") + bytes(100_000),
    "zeros behind AVIF": written(PHOTO, "AVIF") + bytes(100_000),
    "black bars, TIFF": encoded(bars(), "TIFF"),
    "black bars, BMP": encoded(bars(), "BMP"),
    "on black, TIFF": encoded(on_black(), "TIFF"),
    "on black, BMP": encoded(on_black(), "BMP"),
    "dark": encoded(PHOTO.point(lambda value: value // 8), "TIFF"),
    "one bit": encoded(half("white").convert("1"), "TIFF"),
    "turned": encoded(half((128, 128, 128)), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3"
                      b"\0\0\0\1\0\6\0\0\0\0\0\0"),
}  # fmt: skip


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_what_only_looks_like_damage_is_kept(data: bytes) -> None:
    assert verdict(data).verdict != LEFT_OUT


def test_the_page_shows_what_was_flagged(tmp_path: Path) -> None:
    files = photos(5) | {"cat/cut.jpg": DAMAGED["baseline"], "dog/strip.tif": DAMAGED["TIFF strip"]}
    folder = fill(tmp_path / "photos", files)
    (tmp_path / "raw").mkdir()
    build_raw_dataset(ingest_settings(path=folder), tmp_path / "raw")
    page = (tmp_path / "raw" / "left_out.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert "damaged (2)" in page
    (tmp_path / "all").mkdir()
    info = build_raw_dataset(ingest_settings(path=folder, max_missing_fraction=1), tmp_path / "all")
    assert info["verdicts"][LEFT_OUT] == 0


def test_no_file_ends_the_page(tmp_path: Path) -> None:
    """More blank images than the page shows, then some whose pixels fail when asked for."""
    files = photos(4)
    for number in range(210):
        files[f"cat/blank{number}.jpg"] = encoded(Image.new("RGB", (20, 20), (number, 9, 9)))
    tiff = encoded(photo(9), "TIFF", compression="tiff_lzw")
    files |= {
        "dog/cut.jpg": encoded(photo(7))[:700],
        "dog/cut.tif": zeroed(tiff, 0.1, 0.9),
        "dog/small.tif": encoded(photo(9, (12, 12)), "TIFF", compression="tiff_lzw")[:-60],
    }
    (tmp_path / "raw").mkdir()
    folder = fill(tmp_path / "photos", files)
    info = build_raw_dataset(
        ingest_settings(path=folder, max_rejected_fraction=1), tmp_path / "raw"
    )
    assert info["verdicts"][LEFT_OUT] == 213
    assert len(load_images(tmp_path / "raw")) == len(files)
    assert "cut.tif" in (tmp_path / "raw" / "left_out.html").read_text()
    assert json.loads((tmp_path / "raw" / "dataset.json").read_text())["kind"] == "raw"
