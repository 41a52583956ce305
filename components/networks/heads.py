"""A classifier's last layer and the hash of what is below: enough to classify features."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.imaging.framework import keras
from components.networks.features import backbone_hash
from components.networks.models import backbone_and_head

FILE = "head.npz"


class Head(NamedTuple):
    """From features to probabilities."""

    backbone: str  # hash of the network that the features have to be of
    kernel: np.ndarray  # [F, C] float32
    bias: np.ndarray  # [C]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """[N, C] float64 probabilities, whose rows sum to 1, of features [N, F] float32."""
        logits = (features @ self.kernel + self.bias).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def head_of(model: keras.Model) -> Head:
    """The head of a network with layers as `build_classifier` names them."""
    backbone, _ = backbone_and_head(model)
    return Head(backbone_hash(backbone), *model.get_layer("logits").get_weights())


def save_head(model: keras.Model, folder: Path) -> None:
    """Keep it beside the model, which takes a thousand times longer to read."""
    np.savez(folder / FILE, **head_of(model)._asdict())


def load_head(folder: Path) -> Head | None:
    """What `save_head` kept; None for a model without."""
    try:
        with np.load(folder / FILE) as kept:
            return Head(str(kept["backbone"]), kept["kernel"], kept["bias"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
