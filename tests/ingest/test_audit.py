"""From a source to a raw dataset: verdicts, duplicates, groups, limits, pages."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from components.imaging.dataset import (
    FINE,
    LEFT_OUT,
    REPAIRED,
    Image,
    ShardReader,
    load_images,
    load_info,
)
from components.ingest.audit import build_raw_dataset
from components.runtime import parallel
from components.runtime.schema import BadInput
from tests.ingest.builders import contents, encoded, fill, ingest_settings, photo, photos


def ingest(path: Path, pack: bool = False, **changes: Any) -> tuple[dict[str, Any], list[Image]]:
    """What `dataset.json` says and the rows; written below `path`'s parent."""
    folder = path.parent / f"raw-{len(list(path.parent.iterdir()))}"
    folder.mkdir()
    info = build_raw_dataset(ingest_settings(path=path, **changes), folder, pack=pack)
    assert info == load_info(folder)
    return info, load_images(folder)


def left_out(images: list[Image]) -> dict[str, str]:
    return {image.path: image.reason for image in images if image.verdict == LEFT_OUT}


def test_a_folder_becomes_a_raw_dataset_with_every_file_in_it(tmp_path: Path) -> None:
    folder = fill(
        tmp_path / "photos",
        photos(5) | {"cat/x.jpg": b"text", "dog/y.png": encoded(photo(77))},
    )
    info, images = ingest(folder)
    assert info["kind"] == "raw"
    assert info["name"] == "photos"
    assert info["root"] == str(folder)
    assert info["classes"] == ["cat", "dog"]
    assert info["counts"] == {"cat": 5, "dog": 6}
    assert info["verdicts"] == {FINE: 10, REPAIRED: 1, LEFT_OUT: 1}
    assert info["reasons"] == {"not an image": 1}
    assert info["distributions"]["cat"]["width"] == [64] * 5
    assert [image.path for image in images] == sorted(contents(folder))
    with ShardReader(tmp_path / "raw-1") as reader:
        assert all(reader.read(i) == (folder / i.path).read_bytes() for i in images)


def test_packed_it_needs_the_folder_no_more(tmp_path: Path) -> None:
    files = photos(5)
    folder = fill(tmp_path / "photos", files | {"cat/x.jpg": b"text"})
    info, images = ingest(folder, pack=True)
    assert info["root"] is None
    with ShardReader(tmp_path / "raw-1") as reader:
        assert {i.path: reader.read(i) for i in images if i.verdict != LEFT_OUT} == files
    assert left_out(images) == {"cat/x.jpg": "not an image"}


def test_any_number_of_processes_writes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "photos", photos(60) | {"cat/x.jpg": b"text"})
    for pack in (False, True):
        written = []
        for workers in (1, 2):
            monkeypatch.setattr(parallel, "SMALL_WORK", 0)
            raw = tmp_path / f"{pack}-{workers}"
            raw.mkdir()
            build_raw_dataset(ingest_settings(path=folder, workers=workers), raw, pack=pack)
            written.append(contents(raw))
        assert written[0] == written[1]


def test_of_equal_files_one_stays(tmp_path: Path) -> None:
    files = photos(4)
    files["cat/copy.jpg"] = files["cat/2.jpg"]
    _, images = ingest(fill(tmp_path / "photos", files))
    assert left_out(images) == {"cat/copy.jpg": "duplicate: of cat/2.jpg"}


def test_an_image_with_two_labels_is_left_out(tmp_path: Path) -> None:
    files = photos(4)
    files["dog/copy.jpg"] = files["cat/2.jpg"]
    info, images = ingest(fill(tmp_path / "photos", files))
    assert left_out(images) == {
        "cat/2.jpg": "two labels: equal to dog/copy.jpg",
        "dog/copy.jpg": "two labels: equal to cat/2.jpg",
    }
    assert info["reasons"] == {"two labels": 2}


def test_a_test_image_is_kept_rather_than_its_copy_in_training(tmp_path: Path) -> None:
    files = {f"{split}/{path}": data for split, first in (("train", 0), ("test", 2))
             for path, data in photos(8).items() if first <= int(path[4]) < first + 4}  # fmt: skip
    info, images = ingest(fill(tmp_path / "photos", files), min_images_per_class=1)
    assert info["splits"] == {"test": 8, "train": 4}
    assert set(left_out(images)) == {
        f"train/{label}/{n}.jpg" for label in ("cat", "dog") for n in (2, 3)
    }


def test_near_duplicates_share_a_group_and_stay(tmp_path: Path) -> None:
    files = photos(4)
    files["cat/again.jpg"] = encoded(photo(2), quality=40)
    files["dog/also.jpg"] = encoded(photo(1003), quality=40)
    files["cat/also.jpg"] = encoded(photo(1003), quality=50)
    info, images = ingest(fill(tmp_path / "photos", files))
    assert left_out(images) == {}
    assert info["near_duplicate_groups"] == 2
    groups: dict[str, set[str]] = {}
    for image in images:
        groups.setdefault(image.group, set()).add(image.path)
    del groups[""]
    assert sorted(map(sorted, groups.values())) == [
        ["cat/2.jpg", "cat/again.jpg"], ["cat/also.jpg", "dog/3.jpg", "dog/also.jpg"],
    ]  # fmt: skip
    crossing = {image.path for image in images if "another label" in image.reason}
    assert crossing == {"cat/also.jpg", "dog/3.jpg", "dog/also.jpg"}
    assert ingest(tmp_path / "photos", near_duplicate_distance=-1)[0]["near_duplicate_groups"] == 0


def test_the_content_changes_when_and_only_when_the_dataset_does(tmp_path: Path) -> None:
    folder = fill(tmp_path / "photos", photos(4))
    before = ingest(folder)[0]["content"]
    assert ingest(folder, workers=2, max_rejected_fraction=0.1)[0]["content"] == before
    (folder / "cat/1.jpg").rename(folder / "cat/9.jpg")
    renamed = ingest(folder)[0]["content"]
    assert renamed != before
    folder.rename(tmp_path / "moved")
    assert ingest(tmp_path / "moved")[0]["content"] != renamed  # the files are elsewhere now


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_rejected_fraction": 0.1}, "3 of 11 files are left out, more than ingest.max_rej"),
        ({"min_images_per_class": 5}, "class cat has 4 good images, fewer than ingest.min_images"),
    ],
)
def test_a_limit_fails_the_run_and_says_why(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    bad = {f"cat/bad{n}.jpg": b"text" for n in range(3)}
    with pytest.raises(BadInput) as error:
        ingest(fill(tmp_path / "photos", photos(4) | bad), **changes)
    assert words in str(error.value)
    assert "3 not an image, such as cat/bad0.jpg" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_pages_show_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    files = photos(4)
    files |= {"cat/<b>.jpg": b"text", "dog/copy.jpg": files["dog/1.jpg"]}
    files["cat/cut.jpg"] = encoded(photo(50, (640, 480)))[:-900]
    ingest(fill(tmp_path / "photos", files))
    page = (tmp_path / "raw-1" / "left_out.html").read_text()
    assert "3 of 11 files left out" in page
    assert page.count("data:image/jpeg;base64,") == 2  # the copy and what remains of the cut one
    assert "cat/&lt;b&gt;.jpg" in page
    assert "<b>" not in page
    with Pillow.open(tmp_path / "raw-1" / "preview.jpg") as preview:
        assert preview.width > 4 * 100
        assert preview.height > 2 * 100


def test_a_file_that_can_not_be_read_is_left_out(tmp_path: Path) -> None:
    folder = fill(tmp_path / "photos", photos(4))
    (folder / "cat" / "gone.jpg").symlink_to(tmp_path / "nothing")
    assert left_out(ingest(folder)[1]) == {"cat/gone.jpg": "not a file"}


def test_the_sample_is_good_throughout(tmp_path: Path) -> None:
    info = build_raw_dataset(ingest_settings("sample"), tmp_path)
    assert info["verdicts"][LEFT_OUT] == 0
    assert info["near_duplicate_groups"] == 0
    assert set(info["splits"]) == {"train", "test"}


EXPECTED = {  # of the planted defects: the reason, and for those that stay the verdict
    "PetImages/Cat/Thumbs.db": "not an image",
    "PetImages/Dog/Thumbs.db": "not an image",
    "PetImages/Cat/666.jpg": "empty",
    "PetImages/Dog/11702.jpg": "empty",
    "PetImages/Cat/20001.jpg": "truncated",
    "PetImages/Dog/20001.jpg": "truncated",
    "PetImages/Cat/20002.jpg": "not an image",
    "PetImages/Cat/20007.jpg": "duplicate",
    "PetImages/Dog/20007.jpg": "two labels",
    "PetImages/Cat/20010.jpg": "too small",
    "PetImages/Dog/20010.jpg": "blank",
    "readme[1].txt": "not in a class folder",
}
REPAIRS = {
    "PetImages/Cat/20003.jpg": "BMP named .jpg",
    "PetImages/Dog/20003.jpg": "GIF named .jpg, palette colours",
    "PetImages/Dog/20004.jpg": "PNG named .jpg, transparency on white",
    "PetImages/Cat/20005.jpg": "CMYK colours",
    "PetImages/Dog/20005.jpg": "greyscale",
    "PetImages/Dog/20006.jpg": "turned upright",
    "PetImages/Cat/20008.jpg": "",  # a near duplicate: grouped
    "PetImages/Dog/20009.jpg": "",
}


@pytest.mark.parametrize("source", ["archive", "folder"])
def test_each_planted_defect_of_the_real_photos(
    shared_data: Path, tmp_path: Path, source: str
) -> None:
    path = shared_data / "PetImages.zip"
    defects = dict(json.loads((shared_data / "PetImages.defects.json").read_text()))
    assert set(defects) == {*EXPECTED, *REPAIRS}
    if source == "folder":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "pets")
        path = tmp_path / "pets"
    folder = tmp_path / "raw"
    folder.mkdir()
    info = build_raw_dataset(ingest_settings(source, path=path), folder)
    images = {image.path: image for image in load_images(folder)}
    assert info["classes"] == ["Cat", "Dog"]
    assert len(images) == 1418
    for name, reason in EXPECTED.items():
        assert images[name].verdict == LEFT_OUT
        assert images[name].reason.startswith(reason), name
    for name, reason in REPAIRS.items():
        assert images[name].verdict == (REPAIRED if reason else FINE)
        assert images[name].reason == reason
    copy = images["PetImages/Cat/20008.jpg"]
    assert copy.group
    assert sum(image.group == copy.group for image in images.values()) == 2
    lost = {n: i.reason for n, i in images.items() if i.verdict == LEFT_OUT and n not in defects}
    # Of a good photo with a copy under the other label nobody knows which label is right.
    assert list(lost.values()) == ["two labels: equal to PetImages/Dog/20007.jpg"]
    with ShardReader(folder) as reader:
        Pillow.open(io.BytesIO(reader.read(copy))).load()
