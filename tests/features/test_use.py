"""With features or without, training and evaluation come to the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.evaluate.evaluation import evaluate_model
from components.evaluate.inference import Classifier
from components.imaging.dataloader import OnDisk
from components.networks.features import Extractor
from components.train.fit import train_classifier
from tests.evaluate.builders import settings as evaluation
from tests.features.test_build import World


@pytest.fixture
def world(tmp_path: Path, dataset: Path, trained: Path) -> World:
    return World(tmp_path, dataset, trained)


def folder(world: World, name: str) -> Path:
    made = world.folder / name
    made.mkdir()
    return made


def nothing_to_compute(*_: Any) -> None:
    raise AssertionError("features were computed that are there")


def test_a_model_is_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, known = world.features(world.dataset)
    for changes in (dict(dropout=0.3), dict(fine_tune_epochs=1)):
        chosen = world.settings(**changes)
        alone = folder(world, f"alone {changes}")
        train_classifier(world.dataset, alone, chosen)
        given = folder(world, f"given {changes}")
        with monkeypatch.context() as patch:
            patch.setattr(Extractor, "_compute", nothing_to_compute)
            if "fine_tune_epochs" not in changes:
                patch.setattr(OnDisk, "loaded", property(nothing_to_compute))
            train_classifier(world.dataset, given, chosen, features=[known])
        for name in ("model.keras", "model.json", "history.csv", "head.npz", "augmentation.png"):
            assert (given / name).read_bytes() == (alone / name).read_bytes(), name


def test_features_of_others_are_not_taken(world: World) -> None:
    """An edited copy of a step keeps the reference, whatever is edited."""
    _, known = world.features(world.dataset, seed=7)
    alone, given = folder(world, "alone"), folder(world, "given")
    train_classifier(world.dataset, alone, world.settings())
    train_classifier(world.dataset, given, world.settings(), features=[known, world.folder])
    assert (given / "model.keras").read_bytes() == (alone / "model.keras").read_bytes()


def test_an_evaluation_is_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, known = world.features(world.dataset)
    model, champion = folder(world, "model"), folder(world, "champion")
    train_classifier(world.dataset, model, world.settings(learning_rate=0.1))
    train_classifier(world.dataset, champion, world.settings(seed=3))
    chosen = evaluation(grad_cam_images=0, robustness_images=0)
    told = []
    for name, features in (("alone", []), ("given", [known])):
        with monkeypatch.context() as patch:
            if features:
                patch.setattr(Extractor, "_compute", nothing_to_compute)
                patch.setattr(Classifier, "network", property(nothing_to_compute))
            into = folder(world, name)
            evaluate_model(model, world.dataset, into, chosen, champion, features)
        told.append(json.loads((into / "metrics.json").read_text()))
        told.append((into / "predictions.csv").read_bytes())
        told.append((into / "champion_predictions.csv").read_bytes())
    assert told[:3] == told[3:]


def test_a_model_without_a_head_beside_it_is_evaluated_the_same(world: World) -> None:
    model = folder(world, "model")
    train_classifier(world.dataset, model, world.settings())
    chosen, told = evaluation(gate="off"), []
    for name in ("with", "without"):
        evaluate_model(model, world.dataset, folder(world, name), chosen)
        told.append(json.loads((world.folder / name / "metrics.json").read_text()))
        (model / "head.npz").unlink(missing_ok=True)
    assert told[0]["log_loss"] == pytest.approx(told[1]["log_loss"], rel=1e-5)
    assert told[0]["confusion_matrix"] == told[1]["confusion_matrix"]
