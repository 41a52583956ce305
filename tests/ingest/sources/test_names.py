"""Labels in the names of files, in a folder or an archive."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from components.ingest.sources import fingerprint, open_source
from components.runtime.schema import BadInput
from tests.ingest.builders import fill, ingest_settings

FILES = {f"train/{label}.{n}.jpg": f"{label}{n}".encode() for label in ("cat", "dog") for n in "01"}
UNLABELLED = {"test1/1.jpg": b"1", "test1/2.jpg": b"2"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", FILES | UNLABELLED)


@pytest.fixture
def archive(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (FILES | UNLABELLED).items():
            file.writestr(name, data)
    return path


def test_a_folder_and_an_archive_tell_the_same(folder: Path, archive: Path) -> None:
    for path in (folder, archive):
        source = open_source(ingest_settings("names", path=path))
        found = {file.path: (file.label, file.split, file.problem) for file in source.files}
        assert found == {name: (name[6:9], "", "") for name in FILES}
        assert sorted(data for _, data in source.contents()) == sorted(FILES.values())
        (note,) = source.notes
        assert "2 files in test1; to predict them: " in note
        assert fingerprint(ingest_settings("names", path=path))
    assert note.endswith("unpack the archive, then python pipelines/predict.py images=test1")


def test_what_has_no_label_is_left_out(folder: Path) -> None:
    fill(folder, {"train/12.jpg": b"", "train/list.txt": b""})
    files = open_source(ingest_settings("names", path=folder)).files
    problems = {file.path: file.problem for file in files if file.problem}
    assert problems == dict.fromkeys(["train/12.jpg", "train/list.txt"], "no label in its name")


def test_mistakes_are_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    for changes, words in (
        ({"path": None}, "ingest.path=null: give a folder or an archive"),
        ({"path": tmp_path / "none"}, "there is no such folder"),
        ({"path": folder, "pattern": "cat"}, "ingest.pattern=cat: needs {label} once"),
        ({"path": folder, "pattern": "{label}_x"}, "found no labels; it needs two classes"),
        ({"path": "x" * 5000}, "File name too long"),
    ):
        with pytest.raises(BadInput) as told:
            open_source(ingest_settings("names", **changes))
        assert words in str(told.value)
        assert "\n" not in str(told.value)


def test_classes_that_are_alike_are_asked_about(folder: Path) -> None:
    fill(folder, {"train/Cat.7.jpg": b"7"})
    with pytest.raises(BadInput, match=r"'Cat' and 'cat' differ .* ingest=names .*alike=merge"):
        open_source(ingest_settings("names", path=folder))
    files = open_source(ingest_settings("names", path=folder, alike="merge")).files
    assert {file.label for file in files} == {"cat", "dog"}
