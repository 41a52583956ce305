from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from components.predict import sources
from components.predict.sources import find_images
from components.runtime.schema import BadInput
from tests.ingest.builders import encoded, fill, photo


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


def test_what_is_a_photo_is_told_by_its_content(tmp_path: Path) -> None:
    picture = encoded(photo(1))
    fill(tmp_path, {"no ending": picture, "a.dat": encoded(photo(2), "PNG"), "b.txt": b"text"})
    fill(tmp_path, {"empty.jpg": b"", "c.heic.bak": b"\0\0\0\x18ftypheic", "scan.psd": b"8BPS"})
    assert names(tmp_path, find_images(str(tmp_path))[0]) == [
        "a.dat", "c.heic.bak", "empty.jpg", "no ending", "scan.psd",
    ]  # fmt: skip


def test_folders_are_walked_as_ingest_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fill(tmp_path / "out", {"1.jpg": b""})
    root = fill(tmp_path / "in", {"@eaDir/1.jpg": b"", "a/__MACOSX/2.jpg": b"", "a/b.jpg": b""})
    (root / "linked").symlink_to(tmp_path / "out")
    (root / "loop").symlink_to(root)
    (root / "gone.jpg").symlink_to(root / "nothing")
    assert names(root, find_images(str(root))[0]) == ["a/b.jpg", "gone.jpg", "linked/1.jpg"]
    assert "2 folders left aside, as hidden or made by machines, such as @eaDir" in caplog.text
    odd = os.fsencode(root) + b"/\xff.jpg"
    with open(odd, "wb"):  # noqa: PTH123
        assert odd in map(os.fsencode, find_images(str(root))[0])


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
        ("n" * 5000, "there is no such file or folder"),
        ("*.bmp", "the pattern matches no file"),
        ("empty", "the folder has no image files"),
    ],
)
def test_nothing_there_is_told(folder: Path, name: str, words: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(BadInput, match=f"images={folder}/{name.replace('*', '[*]')}: {words}"):
        find_images(f"{folder}/{name}")
