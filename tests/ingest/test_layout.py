"""Classes and ready-made splits, from paths."""

from __future__ import annotations

import pytest

from components.imaging.walk import visible
from components.ingest.layout import Asked, find_labels
from components.runtime.schema import BadInput


def labels(*paths: str) -> dict[str, tuple[str, str]]:
    return find_labels(paths, Asked("ingest.path=photos"))


def test_the_folders_are_the_classes() -> None:
    assert labels("cat/1.jpg", "dog/1.jpg", "a b/2.jpg") == {
        "cat/1.jpg": ("cat", ""),
        "dog/1.jpg": ("dog", ""),
        "a b/2.jpg": ("a b", ""),
    }


def test_folders_on_top_of_the_classes_do_not_matter() -> None:
    found = labels("x/y/Cat/1.jpg", "x/y/Dog/deep/er/1.jpg", "readme.txt", "x/notes.txt")
    assert found == {"x/y/Cat/1.jpg": ("Cat", ""), "x/y/Dog/deep/er/1.jpg": ("Dog", "")}


@pytest.mark.parametrize("validation", ["validation", "val", "valid", "Val"])
def test_ready_made_splits_are_told_by_their_names(validation: str) -> None:
    found = labels(
        *(f"set/{split}/{label}/1.jpg" for split in ("Train", validation, "test") for label in "ab")
    )
    assert found == {
        f"set/{folder}/{label}/1.jpg": (label, split)
        for folder, split in (("Train", "train"), (validation, "validation"), ("test", "test"))
        for label in "ab"
    }


def test_other_folders_beside_the_splits_are_not_classes() -> None:
    found = labels("train/a/1", "train/b/1", "test/a/2", "test/b/2", "unlabelled/x/3", "test/4")
    assert "unlabelled/x/3" not in found
    assert "test/4" not in found
    assert len(found) == 4


def test_a_class_may_be_called_train() -> None:
    assert labels("bus/1", "train/1", "tram/1")["train/1"] == ("train", "")


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["1.jpg", "2.jpg"], "no class folders"),
        (["cat/1.jpg", "cat/2.jpg", "notes.txt"], "one class folder with files, cat;"),
        (["train/cat/1", "train/dog/1", "test/cat/1"], "test/ differ in the class folders dog"),
        (["train/a/1", "train/b/1", "val/a/1", "val/c/1"], "differ in the class folders b, c"),
    ],
)
def test_a_layout_that_does_not_work_is_told(paths: list[str], words: str) -> None:
    with pytest.raises(BadInput, match=r"ingest\.path=photos: ") as told:
        labels(*paths)
    assert words in str(told.value)


def test_hidden_files_and_those_of_the_mac_are_not_looked_at() -> None:
    assert visible("cat/1.jpg")
    assert not any(map(visible, ["__MACOSX/cat/1.jpg", ".git/x", "cat/.DS_Store"]))
