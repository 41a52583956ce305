"""Predictions come in the order of the input, with bounded memory, whatever the files are."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from components.imaging.decoding import Recipe
from components.predict.network import Classifier
from components.predict.photos import Limits, read_photo
from components.predict.prediction import predict_images
from components.runtime.schema import BadInput
from tests.checkout import ROOT
from tests.ingest.builders import ingest_settings
from tests.predict.builders import CLASSES


@pytest.fixture(scope="module")
def classifier(model: Path) -> Classifier:
    return Classifier(model)


def test_the_limits_are_those_of_ingest() -> None:
    shipped = yaml.safe_load((ROOT / "conf" / "predict.yaml").read_text())
    ours, usual = ingest_settings(), Limits()
    for name in Limits._fields:
        assert getattr(ours, name) == shipped[name] == getattr(usual, name)


def test_order_and_batches_change_nothing(classifier: Classifier, photos: list[Path]) -> None:
    paths = [str(path) for path in photos]
    one_by_one = [next(predict_images(classifier, [path], 1, 1)).probabilities for path in paths]
    assert len({tuple(p.round(6)) for p in one_by_one}) > 6
    for batch_size, workers in ((5, 1), (2, 2)):
        got = list(predict_images(classifier, paths, batch_size, workers))
        assert [prediction.path for prediction in got] == paths
        # Kernels sum float32 in an order that depends on the shape and on the place in the batch
        # (2e-6 here; padding to one shape does not help), so it is not the same to the last bit.
        np.testing.assert_allclose([p.probabilities for p in got], one_by_one, atol=1e-5)


def test_unreadable_files_take_no_place(
    classifier: Classifier, photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"hello")
    (tmp_path / "cut.jpg").write_bytes(photos[0].read_bytes()[:700])
    bad = {
        "empty.jpg": "is empty",
        "text.jpg": "is not an image",
        "cut.jpg": "can't be read: image file is truncated",
        "none.jpg": "there is no such file",
        "": "is no file",  # the folder itself
    }
    paths = [str(photos[0]), *(f"{tmp_path}/{name}" for name in bad), str(photos[1])]
    got = list(predict_images(classifier, paths, 3, 1))
    assert [prediction.path for prediction in got] == paths
    for prediction, problem in zip(got[1:-1], bad.values(), strict=True):
        assert prediction.probabilities is None
        assert prediction.problem.startswith(problem)
    alone = list(predict_images(classifier, [paths[0], paths[-1]], 1, 1))
    for part, whole in zip(alone, (got[0], got[-1]), strict=True):
        np.testing.assert_allclose(part.probabilities, whole.probabilities, atol=1e-5)


@pytest.mark.parametrize("workers", [1, 3])
def test_only_some_batches_are_in_memory(
    classifier: Classifier, photos: list[Path], workers: int
) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield str(photos[taken % len(photos)])

    before = set(threading.enumerate())
    predictions = predict_images(classifier, endless(), 2, workers)
    for done in range(1, 61):
        next(predictions)
        assert taken - done <= 2 * (workers + 2)
    readers = {t for t in threading.enumerate() if "Pool" in t.name} - before
    assert 0 < len(readers) <= workers  # a pool starts them only as it needs them
    predictions.close()
    assert not readers & set(threading.enumerate())


def test_each_kind_of_image_is_decoded_as_in_training(tmp_path: Path) -> None:
    """Turned by EXIF, CMYK, transparent: the pixels are upright RGB on white."""
    half = Image.new("RGB", (60, 40), "red")
    half.paste("blue", (30, 0, 60, 40))
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned a quarter clockwise
    half.save(tmp_path / "turned.jpg", exif=turned, quality=95, subsampling=0)
    half.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    Image.new("RGBA", (60, 40), (0, 0, 0, 0)).save(tmp_path / "glass.png")

    def pixels(name: str) -> np.ndarray:
        data = read_photo(Recipe(8, "stretch", "png", 0), str(tmp_path / name)).pixels
        return np.frombuffer(data, np.uint8).reshape(8, 8, 3).astype(int)

    turned_pixels = pixels("turned.jpg")
    assert turned_pixels[0, :, 0].min() > 200 > 60 > turned_pixels[-1, :, 0].max()
    assert pixels("cmyk.jpg")[:, 0, 0].min() > 200 > 60 > pixels("cmyk.jpg")[:, -1, 0].max()
    assert pixels("glass.png").min() == 255


def test_a_model_needs_nothing_beside_it(model: Path, tmp_path: Path) -> None:
    shutil.copy(model / "model.keras", tmp_path)
    alone, whole = Classifier(tmp_path), Classifier(model)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3))
    assert (alone.classes, alone.recipe) == (CLASSES, Recipe(32, "stretch", "png", 0))
    np.testing.assert_array_equal(alone(images), whole(images))


def test_the_order_of_the_classes_is_that_of_model_json(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    info = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(info | {"classes": CLASSES[::-1]}))
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3))
    np.testing.assert_array_equal(Classifier(folder)(images), Classifier(model)(images)[:, ::-1])


def test_a_model_without_names_is_refused(tmp_path: Path) -> None:
    from components.imaging.framework import keras

    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    with pytest.raises(BadInput, match=r"model.keras: its outputs have no names of classes"):
        Classifier(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "gone", "info"])
def test_an_unreadable_model_is_told(model: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    if damage == "cut":
        (folder / "model.keras").write_bytes((folder / "model.keras").read_bytes()[:1000])
    elif damage == "gone":
        (folder / "model.keras").unlink()
    else:
        (folder / "model.json").write_text("{")
    with pytest.raises(BadInput, match=r"model\.(keras|json): is not a readable model \("):
        Classifier(folder)
