"""Classes and ready-made splits, from paths."""

from __future__ import annotations

import pytest

from components.imaging.walk import visible
from components.ingest.layout import Asked, empty_classes, find_labels, labels_in_names
from components.ingest.naming import label_in_name, split_of
from components.runtime.schema import BadInput

ASKED = Asked("ingest.path=photos")
START = "python pipelines/pets_pipeline.py ingest=folder ingest.path=photos"
AB = ("a", "b")


def labels(*paths: str, **how: str) -> dict[str, tuple[str, str]]:
    return find_labels(paths, ASKED, **how)


def below(*folders: str, classes: tuple[str, ...] = AB) -> list[str]:
    """A photo in each class folder of each of these folders."""
    return [f"{folder}/{label}/{n}.jpg" for folder in folders for label in classes for n in "12"]


def refusal(*paths: str, **how: str) -> str:
    with pytest.raises(BadInput, match=r"^ingest\.path=photos: ") as told:
        labels(*paths, **how)
    assert "\n" not in str(told.value)
    return str(told.value)


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
        (
            ["train/cat/1", "train/dog/1", "test/cat/1"],
            "test differ in the class folders dog;",
        ),
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


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("training_set/training_set", "test_set/test_set"), ("train", "test")),
        (("x/TRAIN", "x/Eval"), ("train", "validation")),
        (("trainval", "test"), ("train", "test")),
        (("train", "dev", "test"), ("train", "validation", "test")),
        (("Training Data", "hold-out"), ("train", "test")),
        (("train2017", "val2017"), ("train", "validation")),
        (("seg_train/seg_train", "seg_test/seg_test"), ("train", "test")),
        (("01_train", "02_valid", "03_testing"), ("train", "validation", "test")),
        (("imagesTrain", "imagesTest"), ("train", "test")),
        (("train dataset", "TestDataset"), ("train", "test")),
    ],
)
def test_splits_have_many_names(folders: tuple[str, ...], splits: tuple[str, ...]) -> None:
    expected = dict(zip(folders, splits, strict=True))
    for path, (label, split) in labels(*below(*folders)).items():
        folder, name, _ = path.rsplit("/", 2)
        assert (label, split) == (name, expected[folder])


def test_splits_may_be_below_the_classes() -> None:
    found = labels(*below("x/cats", "x/dogs", classes=("train", "val", "Test")))
    assert found["x/cats/train/1.jpg"] == ("cats", "train")
    assert found["x/dogs/val/2.jpg"] == ("dogs", "validation")
    assert found["x/dogs/Test/2.jpg"] == ("dogs", "test")
    differ = refusal(
        *below("cats", classes=("train", "val")), *below("dogs", classes=("train", "test"))
    )
    assert "train and test differ in the class folders cats; both need the same ones" in differ


def test_a_folder_may_be_named_by_its_class_and_its_split() -> None:
    paths = ["dog_train/1.jpg", "dog_test/2.jpg", "Test-big cat/3.jpg", "TRAIN-big cat/deep/4.jpg"]
    assert labels(*paths) == {
        "dog_train/1.jpg": ("dog", "train"),
        "dog_test/2.jpg": ("dog", "test"),
        "Test-big cat/3.jpg": ("big cat", "test"),
        "TRAIN-big cat/deep/4.jpg": ("big cat", "train"),
    }


@pytest.mark.parametrize(
    ("folders", "seen"),
    [
        (("fold1", "fold2", "fold3"), "fold1, fold2, fold3 all have the sub-folders a, b"),
        (("2019", "2020"), "2019, 2020 all have the sub-folders a, b"),
        (("dev", "test"), "dev, test all have the sub-folders a, b"),
        (("train", "more"), "more, train all have the sub-folders a, b"),
    ],
)
def test_what_may_mean_two_things_is_asked(folders: tuple[str, ...], seen: str) -> None:
    told = refusal(*below(*folders))
    assert seen in told
    assert f"if a, b are the classes: {START} ingest.layout=subfolders;" in told
    assert told.endswith(f"are: {START} ingest.layout=classes")
    found = labels(*below(*folders), layout="subfolders")
    assert set(found.values()) == {("a", ""), ("b", "")}
    found = labels(*below(*folders), layout="classes")
    assert set(found.values()) == {(folder, "") for folder in folders}


@pytest.mark.parametrize(
    "paths",
    [
        ["fold1/1.jpg", "fold2/2.jpg"],
        ["dog_train/1.jpg", "dog_test/2.jpg", "cat_train/1.jpg", "cat_val/2.jpg"],
        ["val/1.jpg", "test/2.jpg"],
        [*below("train"), "more/1.jpg"],
        [*below("cats", classes=("train", "val")), "dogs/1.jpg"],
        below("A/train", "A/test", "B/train", "B/test"),
    ],
)
def test_parts_that_can_not_be_told_are_asked(paths: list[str]) -> None:
    assert f"{START} ingest.layout=classes" in refusal(*paths)
    assert labels(*paths, layout="classes")


@pytest.mark.parametrize(
    "paths",
    [
        below("A/train", "A/test", "B/train", "B/test"),
        [*below("A", classes=("x", "y")), "x/1.jpg", "y/1.jpg"],
    ],
)
def test_of_several_whole_sets_one_is_to_be_named(paths: list[str]) -> None:
    told = refusal(*paths)
    assert "python pipelines/pets_pipeline.py ingest=folder ingest.path=photos/A; " in told
    assert f"are the classes: {START} ingest.layout=classes" in told
    assert labels(*paths, layout="classes")


def test_a_table_beside_the_photos_is_pointed_out() -> None:
    told = refusal("train/0a.jpg", "test/0b.jpg", "my labels.csv")
    assert "table has the labels: python pipelines/pets_pipeline.py ingest=table " in told
    assert "'ingest.path=photos/my labels.csv'; " in told


def test_labels_in_file_names_are_pointed_out() -> None:
    paths = [f"{folder}{label}.{n}.jpg" for folder in ("train/", "") for label in AB for n in "123"]
    names = "python pipelines/pets_pipeline.py ingest=names ingest.path=photos"
    told = refusal(*(path for path in paths if "/" in path), "test1/1.jpg", "test1/2.jpg")
    assert f"as a in train/a.1.jpg: {names}; " in told
    assert f"{START} ingest.layout=classes" in told
    assert refusal(*(path for path in paths if "/" not in path)).endswith(f"a.1.jpg: {names}")


def test_a_split_without_labels_is_told_from_class_folders() -> None:
    for unlabelled in ("test/1.jpg", "test/test/1.jpg", "test/images/1.jpg"):
        found = labels(*below("train"), unlabelled)
        assert found.pop(unlabelled) == ("", "test")
        assert set(found.values()) == {("a", ""), ("b", "")}  # nothing to respect is left
    found = labels(*below("train", "val"), "test/1.jpg")
    assert {split for _, split in found.values()} == {"train", "validation", "test"}


@pytest.mark.parametrize(
    "paths",
    [
        ["bus/1.jpg", "train/1.jpg", "tram/1.jpg"],
        ["freight train/1.jpg", "passenger train/2.jpg"],
        below("cats", "dogs", classes=("images",)),
        ["cats/indoor/1.jpg", "cats/outdoor/1.jpg", "dogs/indoor/1.jpg"],
        [*below("dog", classes=("pug", "beagle")), *below("cat", classes=("siamese", "persian"))],
        ["class1/1.jpg", "class2/2.jpg", "type 3/1.jpg"],
        ["test tube/1.jpg", "flask/1.jpg", "evaluation board/2.jpg"],
    ],
)
def test_ordinary_classes_are_not_asked_about(paths: list[str]) -> None:
    assert labels(*paths) == {path: (path.split("/")[0], "") for path in paths}


def test_folders_without_pictures_tell_nothing() -> None:
    found = labels(*below("images"), "annotations/list.txt", "annotations/xmls/1.xml", "a.csv")
    assert found == {path: (path.split("/")[1], "") for path in below("images")}


@pytest.mark.parametrize("other", ["CAT", "cat ", "Cat"])
def test_classes_that_are_alike_are_asked_about(other: str) -> None:
    paths = ["cat/1.jpg", "cat/2.jpg", f"{other}/3.jpg", "dog/4.jpg"]
    told = refusal(*paths)
    assert f"{other!r}" in told
    assert (
        f"if they are one class: {START} ingest.alike=merge; if not: {START} ingest.alike=keep"
        in told
    )
    assert labels(*paths, alike="merge")[f"{other}/3.jpg"] == ("cat", "")
    assert labels(*paths, alike="keep")[f"{other}/3.jpg"] == (other, "")


def test_composed_and_decomposed_letters_are_alike() -> None:
    assert "differ only in how" in refusal("caf\xe9/1.jpg", "cafe\u0301/1.jpg", "bar/1.jpg")
    paths = [*below("train", classes=("Cat", "dog")), *below("test", classes=("cat", "dog"))]
    assert {label for label, _ in labels(*paths, alike="merge").values()} == {"Cat", "dog"}


def test_a_command_repeats_what_was_said_and_is_quoted() -> None:
    asked = Asked("ingest.path=my photos", more=("ingest.layout=classes", "ingest.alike=ask"))
    assert asked.command("ingest.alike=keep") == (
        "python pipelines/pets_pipeline.py ingest=folder 'ingest.path=my photos' "
        "ingest.layout=classes ingest.alike=keep"
    )


def test_empty_folders_beside_the_classes_are_empty_classes() -> None:
    found = labels(*below("x/train", "x/test"))
    empty = ["x/train/c", "x/more", "x/test/b/deep", "other"]
    assert empty_classes(found, empty) == ["x/train/c"]
    assert empty_classes(labels(*below("cats", "dogs", classes=("train", "val"))), ["birds"]) == [
        "birds"
    ]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0.jpg", "cat"), ("Abyssinian_12.jpg", "Abyssinian"), ("cat (1).jpg", "cat"),
        ("german_shorthaired_100.jpg", "german_shorthaired"), ("n01440764_10026.JPEG", "n01440764"),
        ("x/dog12.png", "dog"), ("dog.jpg", "dog"), ("dog-7", "dog"), ("\u732b_1.webp", "\u732b"),
        ("cafe\u0301_1.jpg", "cafe\u0301"), (f"a{'_' * 200}b_1.jpg", f"a{'_' * 200}b"),
        ("12.jpg", ""), ("2020-01-02.jpg", ""), ("_1_.jpg", ""),
    ],
)  # fmt: skip
def test_labels_in_names(name: str, label: str) -> None:
    assert label_in_name(name) == label


@pytest.mark.parametrize(
    ("pattern", "name", "label"),
    [
        ("{label}_{number}", "german_shorthaired_10.jpg", "german_shorthaired"),
        ("{label}.{number}.jpg", "cat.0.jpg", "cat"),
        ("*_{label}_*", "img_cat_12.jpg", "cat"),
        ("*/{label}-*/*", "x/cat-1/2.jpg", "cat"),
        ("{label}[1]", "cat[1].jpg", "cat"),
        ("{label}_{number}", "cat.0.jpg", ""),
    ],
)
def test_labels_by_a_pattern(pattern: str, name: str, label: str) -> None:
    assert label_in_name(name, pattern) == label


def test_a_pattern_needs_the_label_once() -> None:
    for pattern in ("cat", "{label}{label}"):
        with pytest.raises(BadInput, match=r"ingest\.pattern=.*needs \{label\} once"):
            label_in_name("cat.0.jpg", pattern)


def test_with_labels_in_names_folders_are_splits_or_nothing() -> None:
    def found(*paths: str) -> dict[str, tuple[str, str]]:
        return labels_in_names(paths, ASKED, None, "ask")

    assert found("train/cat.0.jpg", "train/dog.1.jpg", "test1/1.jpg", "readme.md") == {
        "train/cat.0.jpg": ("cat", ""),
        "train/dog.1.jpg": ("dog", ""),
        "test1/1.jpg": ("", "test"),
    }
    split = found("train/a.0.jpg", "train/b.1.jpg", "val/a.3.jpg", "val/b.4.jpg")
    assert {s for _, s in split.values()} == {"train", "validation"}
    with pytest.raises(BadInput, match=r"found no labels; it needs two classes; .*ingest\.pattern"):
        found("1.jpg", "2.jpg")
    deep = found("a.0.jpg", "x/y/z/1/b.1.jpg", "x/y/z/2/a.1.jpg", "x/readme.md")
    assert [label for label, _ in deep.values()] == ["a", "b", "a"]


@pytest.mark.parametrize(
    "name",
    [
        "dataset" * 36,
        "bus",
        "contest",
        "train_station",
        "Testudo",
        "valley",
        "evolution",
        "setter",
        "1",
    ],
)
def test_a_class_is_no_split(name: str) -> None:
    assert split_of(name) == ""
