"""From a raw dataset to a processed one, in one go and in parts."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from components.imaging.dataset import LEFT_OUT, TABLES, ShardReader, load_images, load_info
from components.ingest import audit
from components.ingest.audit import build_raw_dataset
from components.preprocess.build import build_dataset, build_part
from components.runtime import parallel
from components.runtime.schema import BadInput
from tests.ingest.builders import (
    contents,
    encoded,
    fill,
    ingest_settings,
    photo,
    photos,
    preprocess_settings,
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """120 good photos, a pair of near duplicates among them, and a file that is none."""
    files = photos(59) | {"cat/x.jpg": b"text", "dog/again.jpg": encoded(photo(1007), quality=40)}
    files["cat/tall.png"] = encoded(photo(5000, (40, 90)), "PNG")
    folder = fill(tmp_path / "photos", files)
    (tmp_path / "raw").mkdir()
    build_raw_dataset(ingest_settings(path=folder), tmp_path / "raw")
    return tmp_path / "raw"


def build(raw: Path, name: str, **changes: Any) -> Path:
    folder = raw.parent / name
    folder.mkdir()
    info = build_dataset(raw, folder, preprocess_settings(**changes))
    assert info == load_info(folder)
    return folder


def test_a_processed_dataset_has_every_good_image_at_its_size(raw: Path) -> None:
    folder = build(raw, "done")
    info, images = load_info(folder), load_images(folder)
    assert info["kind"] == "processed"
    assert info["image_size"] == [16, 16]
    assert info["raw"] == load_info(raw)["content"]
    good = {i.path: i for i in load_images(raw) if i.verdict != LEFT_OUT}
    assert {i.path for i in images} == set(good)
    counts = Counter((i.split, i.label) for i in images)
    assert info["counts"] == {
        split: {label: counts[split, label] for label in ("cat", "dog")}
        for split in ("train", "validation", "test")
    }
    with ShardReader(folder) as reader:
        for image in images:
            with Pillow.open(io.BytesIO(reader.read(image))) as stored:
                assert (stored.format, stored.size) == ("JPEG", (16, 16))
            assert image.sha256 == good[image.path].sha256
            assert (image.width, image.height) == (good[image.path].width, good[image.path].height)
    groups = {i.split for i in images if i.group}
    assert len(groups) == 1


def test_images_lie_in_the_order_of_the_table_with_the_classes_mixed(raw: Path) -> None:
    folder = build(raw, "done")
    images = load_images(folder, "train")
    shards = list(dict.fromkeys(i.shard for i in images))
    places = [(shards.index(i.shard), i.offset) for i in images]
    assert places == sorted(places)
    assert {i.label for i in images[:20]} == {"cat", "dog"}
    assert Counter(i.shard for i in images)[shards[0]] == 20


def test_any_number_of_processes_writes_the_same_bytes(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = build(raw, "one")
    monkeypatch.setattr(parallel, "SMALL_WORK", 0)
    assert contents(one) == contents(build(raw, "two", workers=2))


@pytest.mark.parametrize("changes", [{"format": "png", "resize": "pad"}, {"resize": "crop"}])
def test_the_bytes_are_always_the_same(raw: Path, changes: dict[str, Any]) -> None:
    assert contents(build(raw, "one", **changes)) == contents(build(raw, "two", **changes))


@pytest.mark.parametrize("parts", [2, 3, 20])
def test_merged_parts_are_the_single_run(raw: Path, parts: int) -> None:
    single = build(raw, "single")
    settings = preprocess_settings()
    folders = []
    for part in range(parts):
        folders.append(raw.parent / f"part{part}")
        folders[-1].mkdir()
        build_part(raw, folders[-1], settings, part, parts)
    merged = raw.parent / "merged"
    merged.mkdir()
    shutil.rmtree(raw.parent / "photos/cat")  # all of them are made
    assert build_dataset(raw, merged, settings, parts=folders) == load_info(single)
    assert contents(merged) == contents(single)
    images = [len(load_images(folder)) for folder in folders]
    assert sum(images) == len(load_images(single))
    assert parts == 20 or min(images) > 0


def test_each_part_asks_for_the_shards_that_it_works_on_and_what_merges_them_for_none(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a server, where a raw dataset is packed and comes file by file."""
    monkeypatch.setattr(audit, "IMAGES_PER_FILE", 8)
    packed, fetched, settings = raw.parent / "packed", raw.parent / "fetched", preprocess_settings()
    packed.mkdir()
    build_raw_dataset(ingest_settings(path=raw.parent / "photos"), packed, pack=True)
    brought: list[int] = []

    def bring(names: Collection[str]) -> None:
        for name in names:
            shutil.copyfile(packed / name, fetched / name)
            brought.append((packed / name).stat().st_size)

    def forget() -> None:
        brought.clear()
        shutil.rmtree(fetched, ignore_errors=True)
        (fetched / "shards").mkdir(parents=True)
        for name in TABLES:
            shutil.copyfile(packed / name, fetched / name)

    parts = [raw.parent / f"part{number}" for number in range(4)]
    whole = sum(file.stat().st_size for file in packed.glob("shards/*"))
    for number, part in enumerate(parts):
        part.mkdir()
        forget()
        build_part(fetched, part, settings, number, 4, bring=bring)
        assert 0 < sum(brought) < 0.4 * whole  # a quarter, and the rest of a shard at either end
    forget()
    (raw.parent / "merged").mkdir()
    build_dataset(fetched, raw.parent / "merged", settings, parts=parts, bring=bring)
    assert brought == []
    (raw.parent / "whole").mkdir()
    build_dataset(packed, raw.parent / "whole", settings)
    assert contents(raw.parent / "merged") == contents(raw.parent / "whole")
    forget()
    (raw.parent / "mended").mkdir()
    build_dataset(fetched, raw.parent / "mended", settings, parts=parts[1:], bring=bring)
    assert 0 < sum(brought) < 0.4 * whole  # a part that is missing is made
    assert contents(raw.parent / "mended") == contents(raw.parent / "whole")


def test_parts_of_different_datasets_do_not_merge(raw: Path) -> None:
    parts = [raw.parent / "one", raw.parent / "two"]
    for number, (part, quality) in enumerate(zip(parts, (90, 50), strict=True)):
        part.mkdir()
        build_part(raw, part, preprocess_settings(quality=quality), number, 2)
    (raw.parent / "merged").mkdir()
    with pytest.raises(BadInput, match="different datasets or parameters"):
        build_dataset(raw, raw.parent / "merged", preprocess_settings(), parts=parts)


def test_what_changed_since_ingest_is_a_mistake_and_no_smaller_dataset(raw: Path) -> None:
    (raw.parent / "photos/cat/3.jpg").write_bytes(encoded(photo(999)))
    with pytest.raises(BadInput, match=r"^cat/3\.jpg: the file has changed since ingest, "):
        build(raw, "done")
    (raw.parent / "photos/cat/3.jpg").unlink()
    with pytest.raises(BadInput, match=r"^cat/3\.jpg: No such file or directory, .* run again"):
        build(raw, "again")


def test_photos_that_are_gone_are_a_mistake(raw: Path) -> None:
    (raw.parent / "photos").rename(raw.parent / "moved")
    with pytest.raises(BadInput, match="no longer there; run ingest again"):
        build(raw, "done")
    (raw.parent / "photos").mkdir()
    with pytest.raises(BadInput, match=r"No such file or directory, but ingest has read it"):
        build(raw, "again")


def test_the_content_tells_datasets_apart(raw: Path) -> None:
    folders = [
        build(raw, "a"), build(raw, "b", quality=80), build(raw, "c", validation_fraction=0.3),
    ]  # fmt: skip
    assert len({load_info(folder)["content"] for folder in folders}) == 3


def test_a_split_without_images_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    folder = fill(tmp_path / "photos", photos(1))
    build_raw_dataset(ingest_settings(path=folder, min_images_per_class=1), tmp_path / "raw")
    with pytest.raises(BadInput, match=r"_fraction=0\.15: none of 2 images"):
        build(tmp_path / "raw", "done")
    with pytest.raises(BadInput, match="needs a raw one"):
        (tmp_path / "x").mkdir()
        build(build(tmp_path / "raw", "y", test_fraction=0, validation_fraction=0), "z")
