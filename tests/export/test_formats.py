"""Each format predicts what the model predicts, or is not delivered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.export import export
from components.export.card import Known
from components.export.formats import FORMATS, load_saved_model, made_up_images
from components.imaging.framework import keras
from components.predict.network import Classifier
from tests.predict.builders import CLASSES


def test_what_is_delivered(exported: Path, model: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {
        "classes.txt",
        "model.json",
        "model.keras",
        "model.tflite",
        "model_card.md",
        "prepare.py",
        "saved_model",
        "serving",
    }
    assert (exported / "model.keras").read_bytes() == (model / "model.keras").read_bytes()
    assert (exported / "classes.txt").read_text().split() == CLASSES


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_a_format_gives_the_probability_of_each_class_by_name(exported: Path, format) -> None:
    classifier = Classifier(exported)
    images = np.random.default_rng(3).integers(0, 256, (5, 32, 32, 3)).astype(np.float32)
    wanted = classifier.network.predict(images, verbose=0)
    found = format.load(exported / format.path)(images)
    assert sorted(found) == CLASSES
    for name in CLASSES:
        assert found[name].shape == (5,)
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-5)


def test_a_saved_model_takes_images_of_any_size(exported: Path) -> None:
    classifier = Classifier(exported)
    images = np.random.default_rng(3).integers(0, 256, (2, 50, 70, 3)).astype(np.float32)
    found = load_saved_model(exported / "saved_model")(images)
    wanted = classifier.network.predict(images, verbose=0)
    np.testing.assert_allclose(found["dog"], wanted["dog"], atol=1e-5)


def test_made_up_images_make_a_difference(model: Path) -> None:
    """A check on images that all look the same to a model would accept anything."""
    images = made_up_images(32)
    assert len({image.tobytes() for image in images}) == len(images)
    assert np.ptp(Classifier(model)(images)[:, 0]) > 0.2


def test_what_predicts_otherwise_or_fails_is_left_out_and_told(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(classifier: Classifier, path: Path) -> None:
        network = keras.models.clone_model(classifier.network)
        weights = classifier.network.get_weights()
        weights[-1] = weights[-1] + [0.01, 0]  # the bias of one class
        network.set_weights(weights)
        network.export(path, verbose=False)

    def failing(classifier: Classifier, path: Path) -> None:
        path.write_bytes(b"half")
        raise NotImplementedError("no such\nkernel")

    saved_model, tflite = FORMATS
    changed = (saved_model._replace(write=worse), tflite._replace(write=failing))
    monkeypatch.setattr(export, "FORMATS", changed)
    different, failed = export.export_model(model, tmp_path, [], Known(), "pets")
    assert different.startswith("SavedModel is left out: probabilities of 32 made-up images differ")
    assert failed == "TensorFlow Lite is left out: NotImplementedError: no such kernel"
    assert not [p for p in ("saved_model", "model.tflite", "serving") if (tmp_path / p).exists()]
    card = (tmp_path / "model_card.md").read_text()
    assert different in card
    assert "```python\nimport keras" in card
    assert "ai_edge_litert" not in card
