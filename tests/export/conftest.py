"""A model and its export, made once for all tests of exports."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from components.export.card import Known
from components.export.export import export_model
from tests.predict.builders import CLASSES, draw_photos, untrained

METRICS = {
    "images": 60,
    "accuracy": 0.9,
    "balanced_accuracy": 0.9,
    "log_loss": 0.25,
    "auc": 0.97,
    "calibration_error": 0.04,
    "per_class": {name: {"precision": 0.9, "recall": 0.8, "f1": 0.85} for name in CLASSES},
    "intervals": {"accuracy": [0.81, 0.95]},
    "parameters": {"confidence_level": 0.95},
    "dataset": "c0ffee" * 10,
}
DATASET = {
    "name": "pets",
    "counts": {"train": {"cat": 61, "dog": 62}, "test": {"cat": 30, "dog": 30}},
    "left_out": [{"path": "a", "reason": "b"}],
}


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """JPEG files of several sizes."""
    return [str(path) for path in draw_photos(tmp_path_factory.mktemp("photos"), 8)]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small ResNet whose photos are cropped."""
    return untrained(tmp_path_factory.mktemp("model"), resize="crop")


@pytest.fixture(scope="session")
def exported(model: Path, photos: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export, with all that may be known of it."""
    folder = tmp_path_factory.mktemp("exported")
    known = Known(DATASET, METRICS, "evaluations/0123", "CC BY 4.0")
    assert export_model(model, folder, photos, known, "pets 2") == []
    return folder


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime of TensorFlow Lite: its own package, or that of TensorFlow under its name."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError:
        from components.imaging.framework import tf

        module = types.ModuleType("ai_edge_litert.interpreter")
        module.Interpreter = tf.lite.Interpreter
        monkeypatch.setitem(sys.modules, "ai_edge_litert", types.ModuleType("ai_edge_litert"))
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
