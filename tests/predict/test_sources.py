from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from components.predict import sources
from components.predict.sources import find_images
from components.runtime.schema import BadInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Image files by their endings, in and beside sub-folders, among others."""
    names = ["b.jpg", "a/2.PNG", "a/10.jpeg", "a.jpg", "Ä (1).webp", "notes.txt", ".hidden.jpg"]
    for name in [*names, ".git/x.jpg"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def names(folder: Path, paths: list[str]) -> list[str]:
    return [Path(path).relative_to(folder).as_posix() for path in paths]


def test_a_folder_gives_its_images_sorted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    paths, total = find_images(str(folder))
    assert names(folder, paths) == ["a.jpg", "a/10.jpeg", "a/2.PNG", "b.jpg", "Ä (1).webp"]
    assert total == 5
    assert "1 other files left aside" in caplog.text


def test_a_pattern_gives_the_files_that_match(folder: Path) -> None:
    assert names(folder, find_images(f"{folder}/*.jpg")[0]) == ["a.jpg", "b.jpg"]
    assert names(folder, find_images(f"{folder}/**/*.jp*g")[0]) == ["a.jpg", "a/10.jpeg", "b.jpg"]


def test_a_file_is_taken_whatever_its_name(folder: Path) -> None:
    (folder / "a[1]*").write_bytes(b"")
    assert names(folder, find_images(f"{folder}/a[1]*")[0]) == ["a[1]*"]


def test_paths_from_standard_input_are_read_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        buffer = io.BytesIO(b"a.jpg\n\nb c.jpg\r\n\xff.jpg")

    monkeypatch.setattr(sources.sys, "stdin", Terminal)
    paths, total = find_images("-")
    assert total is None
    assert Terminal.buffer.tell() == 0
    assert [os.fsencode(path) for path in paths] == [b"a.jpg", b"b c.jpg", b"\xff.jpg"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.jpg", "there is no such file or folder"),
        ("*.bmp", "the pattern matches no file"),
        ("empty", "the folder has no image files"),
    ],
)
def test_nothing_there_is_told(folder: Path, name: str, words: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(BadInput, match=f"images={folder}/{name.replace('*', '[*]')}: {words}"):
        find_images(f"{folder}/{name}")
