"""A mistake gets one line that says what to change, exit code 2, and nothing half-written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.checkout import Checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("bad"))


def refusal(checkout: Checkout, *arguments: str) -> str:
    """The one line that these arguments get."""
    done = checkout.run(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("train.epocs=5", "unknown parameter train.epocs; did you mean train.epochs?"),
        ("train.epochs=abc", "train.epochs=abc: expected an integer >= 1"),
        ("train.epochs=0", "train.epochs=0: expected an integer >= 1"),
        ("train.epochs=1.5", "train.epochs=1.5: expected an integer >= 1"),
        ("train.learning_rate=-1", "train.learning_rate=-1: expected a number > 0"),
        ("+train.epocs=5", "unknown parameter train.epocs; did you mean train.epochs?"),
        ("train/optimizer=adm", "train/optimizer=adm: expected one of adam, adamw, sgd"),
        ("trian/optimizer=sgd", "unknown parameter trian/optimizer; did you mean train/optimizer?"),
        ("run=quue", "run=quue: expected one of local, offline, queue"),
        ("train.optimizer=adm", "train.optimizer=adm: expected one of adam, adamw, sgd"),
    ],
)
def test_a_parameter_that_does_not_fit(checkout: Checkout, argument: str, words: str) -> None:
    assert refusal(checkout, argument) == words
    assert not (checkout.root / "outputs").exists()


def photos(tmp_path: Path, checkout: Checkout, *folders: str) -> str:
    """A folder of photos with these sub-folders; the argument that points there."""
    for folder in folders:
        shutil.copytree(checkout.root / "data/test/cat", tmp_path / "photos" / folder)
    return f"ingest.path={tmp_path / 'photos'}"


def test_a_folder_that_is_missing(checkout: Checkout, tmp_path: Path) -> None:
    line = refusal(checkout, "ingest=folder", photos(tmp_path, checkout))
    assert line.startswith(f"ingest.path={tmp_path / 'photos'}: ")
    assert not list((checkout.root / "outputs").glob("20*"))


def test_a_folder_that_is_empty(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    line = refusal(checkout, "ingest=folder", photos(tmp_path, checkout))
    assert line.startswith(f"ingest.path={tmp_path / 'photos'}: ")


def test_a_folder_with_one_class(checkout: Checkout, tmp_path: Path) -> None:
    line = refusal(checkout, "ingest=folder", photos(tmp_path, checkout, "cat"))
    assert "found one class folder with files, cat" in line


def test_classes_that_differ_between_train_and_test(checkout: Checkout, tmp_path: Path) -> None:
    folders = ("train/cat", "train/dog", "test/cat", "test/bird")
    line = refusal(checkout, "ingest=folder", photos(tmp_path, checkout, *folders))
    assert "bird" in line
    assert "dog" in line


def test_a_weights_file_that_is_missing(checkout: Checkout, tmp_path: Path) -> None:
    line = refusal(checkout, f"train.weights={tmp_path / 'none.h5'}", "preprocess.image_size=32")
    assert line.startswith(f"train.weights={tmp_path / 'none.h5'}: ")


def test_imagenet_weights_without_network(checkout: Checkout) -> None:
    line = refusal(checkout, "train/model=resnet50", "preprocess.image_size=32")
    assert line.startswith("train.weights=imagenet: ")


def test_outputs_that_cannot_be_written(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refusal(checkout, f"run.outputs={tmp_path / 'file'}")
    assert line.startswith(f"run.outputs: can't write {tmp_path / 'file'}")


def test_stages_without_what_they_need(checkout: Checkout, tmp_path: Path) -> None:
    outputs = f"run.outputs={tmp_path}"
    line = refusal(checkout, outputs, "run.stages=[train]")
    assert line.startswith("run.stages=['train']: train needs a dataset; ")
    line = refusal(checkout, outputs, "run.stages=[train]", "run.dataset=latest")
    assert line.startswith("run.dataset=latest: there is none in ")
    line = refusal(checkout, outputs, "run.stages=[train]", "run.dataset=datasets/none")
    assert line.startswith("run.dataset=datasets/none: nothing of that name is in ")


def test_help_lists_groups_and_parameters(checkout: Checkout) -> None:
    done = checkout.run("--help")
    assert done.returncode == 0
    assert "  train/optimizer = adam | adamw | sgd\n" in done.stdout
    assert "  train.epochs=80: an integer >= 1\n" in done.stdout
    assert "Share of the features" in done.stdout


def test_the_composed_configuration_can_be_seen(checkout: Checkout) -> None:
    done = checkout.run("--cfg", "job", "train/optimizer=sgd")
    assert done.returncode == 0
    assert "  optimizer: sgd\n" in done.stdout
