"""What each source lists, its mistakes, and its fingerprint."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.ingest.sources import fingerprint, folder_of, open_source
from components.runtime.schema import BadInput
from pipelines.dag import PETS
from tests.ingest.builders import CONF, fill, ingest_settings

FILES = {"cat/1.jpg": b"one", "cat/2.jpg": b"two", "dog/1.jpg": b"three"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", FILES)


def told(**changes: object) -> str:
    with pytest.raises(BadInput) as error:
        open_source(ingest_settings(**changes))
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_folder_is_listed_in_order(folder: Path) -> None:
    source = open_source(ingest_settings(path=folder))
    assert [(file.path, file.label, file.size) for file in source.files] == [
        ("cat/1.jpg", "cat", 3), ("cat/2.jpg", "cat", 3), ("dog/1.jpg", "dog", 5),
    ]  # fmt: skip
    assert source.root == folder


def test_the_sample_is_found_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    source = open_source(ingest_settings("sample"))
    assert {file.label for file in source.files} == {"cat", "dog"}
    assert {file.split for file in source.files} == {"train", "test"}
    assert not any(file.problem for file in source.files)


def test_mistakes_are_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    missing = tmp_path / "missing"
    assert told(path=missing) == f"ingest.path={missing}: there is no such folder"
    assert "it is empty" in told(path=tmp_path / "empty")
    assert "one class folder with files, cat;" in told(
        path=fill(tmp_path / "one", {"cat/1.jpg": b""})
    )
    assert "ingest.path=null: give a folder" in told(path=None)
    assert "choose ingest=archive" in told(path=folder / "cat/1.jpg")
    assert "choose ingest=folder" in told(source="archive", path=folder)
    assert "there is no such file" in told(source="archive", path=missing)
    assert "ingest.path=null" in told(source="archive")
    assert "is no intact zip or tar" in told(source="archive", path=folder / "cat/1.jpg")
    assert "ingest.max_files=2" in told(path=folder, max_files=2)
    assert "ingest.dataset=null" in told(source="clearml_dataset")


def test_a_clearml_dataset_is_a_folder_once_resolved(folder: Path) -> None:
    settings = ingest_settings("clearml_dataset", dataset="pets/photos/1.0.0")
    source = open_source(settings, {"pets/photos/1.0.0": folder}.__getitem__)
    assert [file.path for file in source.files] == sorted(FILES)
    assert source.name == "pets/photos/1.0.0"
    with pytest.raises(BadInput, match="needs a ClearML server"):
        open_source(settings)


def test_links_are_followed_once_and_what_is_no_file_is_told(folder: Path, tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", {"9.jpg": b"nine"})
    (folder / "bird").symlink_to(tmp_path / "elsewhere")
    (folder / "cat" / "loop").symlink_to(folder)
    (folder / "cat" / "linked.jpg").symlink_to(folder / "dog" / "1.jpg")
    (folder / "dog" / "broken.jpg").symlink_to(tmp_path / "nothing")
    files = {file.path: file.problem for file in open_source(ingest_settings(path=folder)).files}
    assert files == dict.fromkeys([*FILES, "bird/9.jpg", "cat/linked.jpg"], "") | {
        "dog/broken.jpg": "not a file"
    }


def test_names_that_would_break_a_table_are_left_out(folder: Path) -> None:
    fill(folder, {"cat/a\nb\r.jpg": b"x", "cat/\xe4,\"'.jpg": b"y"})
    problems = {f.path: f.problem for f in open_source(ingest_settings(path=folder)).files}
    assert problems["cat/a\\nb\\r.jpg"] == "its name has control characters"
    assert problems["cat/\xe4,\"'.jpg"] == ""


def test_the_fingerprint_changes_exactly_when_names_or_bytes_do(
    folder: Path, tmp_path: Path
) -> None:
    def now() -> str | None:
        return fingerprint(ingest_settings(path=folder))

    before = now()
    (folder / "cat/1.jpg").touch()
    (folder / ".hidden").write_bytes(b"not seen")
    assert now() == before
    moved = shutil.copytree(folder, tmp_path / "copy")
    assert fingerprint(ingest_settings(path=moved)) == before
    (folder / "cat/1.jpg").write_bytes(b"One")
    assert now() != before
    (folder / "cat/1.jpg").write_bytes(b"one")
    assert now() == before
    (folder / "cat/1.jpg").rename(folder / "cat/3.jpg")
    assert now() != before


def test_what_machines_make_changes_nothing(folder: Path) -> None:
    before = fingerprint(ingest_settings(path=folder))
    fill(folder, {"cat/@eaDir/1.jpg/SYNOPHOTO_THUMB.jpg": b"x", ".Trash-1000/cat/9.jpg": b"y"})
    source = open_source(ingest_settings(path=folder))
    assert [file.path for file in source.files] == sorted(FILES)
    assert source.notes == ["set aside, as hidden or made by machines: .Trash-1000, cat/@eaDir"]
    assert fingerprint(ingest_settings(path=folder)) == before


def test_empty_classes_are_told(folder: Path) -> None:
    before = fingerprint(ingest_settings(path=folder))
    (folder / "bird").mkdir()
    source = open_source(ingest_settings(path=folder))
    assert source.notes == ["class folders without files: bird"]
    assert fingerprint(ingest_settings(path=folder)) != before


def test_a_split_without_labels_is_set_aside_with_the_command_to_predict_it(folder: Path) -> None:
    whole = fill(folder.parent / "a b", {f"train/{path}": data for path, data in FILES.items()})
    fill(whole, {"test/1.jpg": b"1", "test/2.jpg": b"2"})
    source = open_source(ingest_settings(path=whole))
    assert [file.path for file in source.files] == [f"train/{path}" for path in sorted(FILES)]
    assert source.notes == [
        "set aside, as they have no labels: 2 files in test; to predict them: "
        f"python pipelines/predict.py 'images={whole}/test'"
    ]


def test_files_that_stay_where_they_are(folder: Path, tmp_path: Path) -> None:
    assert folder_of(ingest_settings(path=folder)) == folder
    assert folder_of(ingest_settings("names", path=folder)) == folder
    assert folder_of(ingest_settings("sample")) is not None
    assert folder_of(ingest_settings("archive", path=tmp_path / "x.zip")) is None


def test_the_fingerprint_of_what_is_not_here(tmp_path: Path) -> None:
    address = "https://example.org/pets.zip"
    remote = ingest_settings("archive", path=address, download_folder=tmp_path)
    assert fingerprint(remote) is None
    known = ingest_settings("archive", path=address, sha256="a" * 64, download_folder=tmp_path)
    other = ingest_settings("archive", path=address, sha256="b" * 64, download_folder=tmp_path)
    assert None is not fingerprint(known) != fingerprint(other)
    dataset = ingest_settings("clearml_dataset", dataset="pets/photos")
    assert fingerprint(dataset) is None
    versions = [fingerprint(dataset, {"pets/photos": id}.__getitem__) for id in "aab"]
    assert versions[0] == versions[1] != versions[2]
    with pytest.raises(BadInput, match="give the dataset's id, project/name"):
        fingerprint(ingest_settings("clearml_dataset"), str)
    with pytest.raises(BadInput, match="no such folder"):
        fingerprint(ingest_settings(path=tmp_path / "missing"))


@pytest.mark.parametrize("path", sorted((CONF / "ingest").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_source_has_all_parameters(path: Path) -> None:
    ingest_settings(path.stem)  # raises when one is missing or unknown
    known = PETS.parameters
    composed = known.read(known.defaults(f"ingest={path.stem}", "ingest/audit=strict"))
    assert composed.ingest.min_side == 64


def test_a_fingerprint_needs_no_heavy_imports() -> None:
    code = "import sys, components.ingest.sources; print({'PIL', 'numpy'} & set(sys.modules))"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
