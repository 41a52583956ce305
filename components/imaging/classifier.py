"""A trained model as it is published: `model.keras`, and `model.json` that tells of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from components.imaging.framework import keras
from components.runtime.files import read_json
from components.runtime.schema import BadInput


class Loaded(NamedTuple):
    """A model: images [B, H, W, 3] of any size, RGB 0-255, to {class: probability [B]}."""

    info: dict[str, Any]  # what model.json says; empty where there is none
    classes: list[str]
    network: keras.Model


def load_classifier(folder: Path, with_info: bool) -> Loaded:
    """Read the model in `folder`; `BadInput` when it can't be, or with_info and has none."""
    path = folder / "model.json"
    try:
        info = read_json(path) if with_info or path.is_file() else {}
        classes = info["classes"] if info else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(_unreadable(path, error)) from None
    path = folder / "model.keras"
    try:
        network = keras.saving.load_model(path, compile=False)
        named = list(network.output) if isinstance(network.output, dict) else []
    except Exception as error:  # a damaged file fails in zipfile, h5py, json or Keras
        raise BadInput(_unreadable(path, error)) from None
    if not named:
        raise BadInput(f"{path}: its outputs have no names of classes; train it again")
    if classes is not None and set(classes) != set(named):
        raise BadInput(
            f"{path}: its outputs are not the {len(classes)} classes that model.json names; "
            "train it again"
        )
    return Loaded(info, classes or named, network)


def as_columns(network: keras.Model, classes: list[str]) -> keras.Model:
    """The same model with one output [B, C] in the order of `classes`."""
    columns = keras.ops.stack([network.output[name] for name in classes], axis=1)
    return keras.Model(network.inputs, columns)


def _unreadable(path: Path, error: Exception) -> str:
    reason = "there is no such file" if not path.is_file() else type(error).__name__
    return f"{path}: is not a readable model ({reason}); train it again"
