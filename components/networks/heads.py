"""A classifier's last layer and the hash of what is below: enough to classify features."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.imaging.framework import keras
from components.networks.features import backbone_hash
from components.networks.models import backbone_and_head
from components.networks.probabilities import normalized, softmax

FILE = "head.npz"


class Head(NamedTuple):
    """From features to probabilities."""

    backbone: str  # hash of the network that the features have to be of
    classify: Callable[[np.ndarray], np.ndarray]  # [N, F] float32 to [N, C], rows sum to 1


def save_head(model: keras.Model, classes: list[str], folder: Path) -> None:
    """Keep the head beside its model, which takes a thousand times longer to read."""
    backbone, _ = backbone_and_head(model)
    kernel, bias = model.get_layer("logits").get_weights()
    parts = {"classes": np.array(classes), "kernel": kernel, "bias": bias}
    np.savez(folder / FILE, backbone=np.array(backbone_hash(backbone)), **parts)


def load_head(folder: Path, classes: list[str]) -> Head | None:
    """The head that was kept, with its columns in the order of `classes`; None for a model without.

    The names are those of the classes, whatever order they have now.
    """
    try:
        with np.load(folder / FILE) as kept:
            places = [list(kept["classes"]).index(name) for name in classes]
            kernel, bias = kept["kernel"][:, places], kept["bias"][places]
            backbone = str(kept["backbone"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None

    def classify(features: np.ndarray) -> np.ndarray:
        return softmax((features @ kernel + bias).astype(np.float64))

    return Head(backbone, classify)


def head_of(columns: keras.Model) -> Head:
    """The head of a model with one column a class."""
    backbone, _ = backbone_and_head(columns)
    above = keras.Model(columns.get_layer("features").output, columns.output)

    def classify(features: np.ndarray) -> np.ndarray:
        return normalized(above(features, training=False))

    return Head(backbone_hash(backbone), classify)
