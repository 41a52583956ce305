"""One walker: links, machine-made folders, empty folders, names of any bytes, in any locale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.imaging.walk import set_aside, visible, walk
from components.runtime.files import read_below
from components.runtime.schema import BadInput
from tests.ingest.builders import fill

MACHINES = [
    "@eaDir", "__MACOSX", "$RECYCLE.BIN", ".Trash-1000", ".Trashes", ".ipynb_checkpoints",
    "Thumbnails", "lost+found", ".AppleDouble", "#recycle", "@Recycle", "System Volume Information",
    "__pycache__", "found.000", ".@__thumb", "@__thumb", ".git", "Previews.lrdata",
]  # fmt: skip


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("above", ["", "cats/", "a/b/"])
def test_what_machines_make_is_set_aside_at_any_depth(
    tmp_path: Path, name: str, above: str
) -> None:
    fill(tmp_path, {f"{above}{name}/x/1.jpg": b"", f"{above}cat.jpg": b"", "dogs/1.jpg": b""})
    found = walk(tmp_path)
    assert [file.path for file in found.files] == sorted([f"{above}cat.jpg", "dogs/1.jpg"])
    assert found.set_aside == [f"{above}{name}"]
    assert set_aside(f"{above}{name}/x/1.jpg") == f"{above}{name}"
    assert not visible(f"{above}{name}/x/1.jpg")


@pytest.mark.parametrize("name", ["trash", "recycling", "thumb", "macosx", "thumbs up", "eadir"])
def test_what_people_make_is_not(tmp_path: Path, name: str) -> None:
    assert [file.path for file in walk(fill(tmp_path, {f"{name}/1": b""})).files] == [f"{name}/1"]
    assert visible(f"{name}/1")


def test_links_loops_and_what_is_no_file(tmp_path: Path) -> None:
    fill(tmp_path, {"in/cat/1.jpg": b"one", "out/2.jpg": b"four"})
    (tmp_path / "in/linked").symlink_to(tmp_path / "out")
    (tmp_path / "in/cat/up").symlink_to(tmp_path / "in")
    (tmp_path / "in/gone.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "in/itself").symlink_to(tmp_path / "in/itself")
    os.mkfifo(tmp_path / "in/pipe")
    found = {file.path: (file.size, file.problem) for file in walk(tmp_path / "in").files}
    assert found.pop("itself")[1].startswith("cannot be read: ")
    assert found == {
        "cat/1.jpg": (3, ""),
        "gone.jpg": (0, "not a file"),
        "linked/2.jpg": (4, ""),
        "pipe": (0, "not a file"),
    }


def test_empty_folders_are_told(tmp_path: Path) -> None:
    fill(tmp_path, {"a/x/1.jpg": b"", "b/.hidden": b"", "b/@eaDir/1.jpg": b""})
    (tmp_path / "a/y/z").mkdir(parents=True)
    assert walk(tmp_path).empty == ["a/y", "a/y/z", "b"]


def test_more_folders_in_each_other_than_python_calls(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    for _ in range(1200):
        folder += b"/d"
        os.mkdir(folder)  # noqa: PTH102  pathlib's own calls are too deep
    os.mknod(folder + b"/1.jpg")
    try:
        assert [file.path for file in walk(tmp_path).files] == ["d/" * 1200 + "1.jpg"]
    finally:  # pytest itself could not
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_a_folder_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="missing: cannot be read: No such file"):
        walk(tmp_path / "missing")


ODD = ["ca\udcff/1.jpg", "\U0001f431/\xe9.jpg", "\u732b/b.jpg"]
READ = """
import sys
from components.imaging.walk import walk
from components.runtime.files import read_below
root = sys.argv[1]
for file in walk(root).files:
    print(ascii(file.path), ascii(read_below(root, file.path)))
"""


@pytest.mark.parametrize("locale", ["POSIX", "C.UTF-8"])
def test_names_are_the_same_in_every_locale(tmp_path: Path, locale: str) -> None:
    for name in ODD:
        path = os.path.join(os.fsencode(tmp_path), name.encode("utf-8", "surrogateescape"))  # noqa: PTH118
        os.makedirs(os.path.dirname(path))  # noqa: PTH103, PTH120
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(name.encode("utf-8", "surrogateescape"))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        env=os.environ | {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    read = [(name, name.encode("utf-8", "surrogateescape")) for name in sorted(ODD)]
    assert done.stdout.splitlines() == [f"{name!a} {data!a}" for name, data in read]
    assert read_below(tmp_path, ODD[1]) == ODD[1].encode()
