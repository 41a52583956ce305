"""Groups of near duplicates: found, not invented, and not by comparing all pairs."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from components.ingest.layout import File
from components.ingest.near_duplicates import (
    group_near_duplicates,
    near_pairs,
    perceptual_hashes,
)
from components.ingest.verdict import THUMBNAIL, Limits, examine
from tests.ingest.builders import encoded, photo

DISTANCE = 8


def thumbnail(data: bytes) -> bytes:
    return examine(data, File("1.jpg", "cat"), Limits(64, 16, 0)).thumbnail


def groups(files: list[bytes]) -> list[int]:
    return group_near_duplicates(b"".join(map(thumbnail, files)), THUMBNAIL, DISTANCE)


def test_what_looks_the_same_is_one_group_and_the_rest_stays_alone() -> None:
    image = photo(1, (320, 240))
    same = [
        encoded(image),
        encoded(image, quality=30),
        encoded(image, "PNG"),
        encoded(image.resize((100, 75))),
        encoded(image.resize((224, 224))),
        encoded(ImageEnhance.Brightness(image).enhance(1.2)),
        encoded(ImageEnhance.Contrast(image).enhance(0.7)),
        encoded(image.convert("L")),
    ]
    others = [encoded(photo(seed, (320, 240))) for seed in range(2, 30)]
    found = groups(others[:14] + same + others[14:])
    assert found == [*range(14), *[14] * len(same), *range(14 + len(same), len(found))]


def test_images_that_only_share_a_simple_layout_are_not_grouped() -> None:
    ramp = Image.linear_gradient("L")
    parts = [ramp.rotate(angle, fillcolor=128) for angle in range(0, 360, 60)]
    assert len(set(groups([encoded(part) for part in parts]))) == len(parts)


def test_nothing_and_one_image() -> None:
    assert groups([]) == []
    assert groups([encoded(photo(1))]) == [0]


def test_pairs_are_found_among_many(tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    hashes = dice.integers(0, 2**63, 50_000).astype(np.uint64)
    flipped = hashes[:500].copy()
    for _ in range(4):
        flipped ^= np.uint64(1) << dice.integers(0, 64, len(flipped)).astype(np.uint64)
    hashes = np.concatenate([hashes, flipped])
    pairs = {tuple(sorted(pair)) for found in near_pairs(hashes, 4) for pair in found.tolist()}
    wanted = {(number, 50_000 + number) for number in range(500)}
    assert len(wanted & pairs) >= 0.99 * len(wanted)
    assert pairs <= wanted


def test_equal_hashes_do_not_make_it_quadratic() -> None:
    """A hundred thousand equal hashes would have 5,000 million pairs."""
    start = time.monotonic()
    count = sum(len(found) for found in near_pairs(np.zeros(100_000, np.uint64), DISTANCE))
    assert count < 1000 * 100_000
    assert time.monotonic() - start < 30


def test_a_large_group_of_equal_pictures_is_one() -> None:
    pixels = thumbnail(encoded(photo(1))) * 3000
    assert set(group_near_duplicates(pixels, THUMBNAIL, DISTANCE)) == {0}


def test_the_hash_ignores_brightness_and_contrast() -> None:
    pixels = np.asarray(photo(5, mode="L").resize((THUMBNAIL, THUMBNAIL)), np.float64)
    variants = np.stack([pixels, pixels * 0.5, pixels * 0.5 + 100]).round().astype(np.uint8)
    one, *others = perceptual_hashes(variants)
    assert all(np.bitwise_count(one ^ other) <= 4 for other in others)


def test_real_photos_are_not_near_duplicates_of_each_other(shared_data: Path) -> None:
    import zipfile

    with zipfile.ZipFile(shared_data / "pets180.zip") as archive:
        files = [archive.read(name) for name in archive.namelist()[::10]]
    small = io.BytesIO()
    Image.open(io.BytesIO(files[7])).resize((90, 90)).save(small, "JPEG", quality=60)
    found = groups([*files, small.getvalue()])
    assert found == [*range(len(files)), 7]
