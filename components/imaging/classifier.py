"""A trained model as it is published: `model.keras`, and `model.json` that tells of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from components.imaging.decoding import Recipe
from components.imaging.framework import keras
from components.runtime.files import read_json
from components.runtime.schema import BadInput

STORED_AS = "stored_as_{}_{}"  # name of the layer that tells format and quality of the dataset


class Loaded(NamedTuple):
    """A model: images [B, H, W, 3] of any size, RGB 0-255, to {class: probability [B]}."""

    info: dict[str, Any]  # what model.json says; empty where there is none
    classes: list[str]
    network: keras.Model


def load_classifier(folder: Path, with_info: bool) -> Loaded:
    """Read the model in `folder`; `BadInput` when it can't be, or with_info and has none."""
    info = read_info(folder) if with_info or (folder / "model.json").is_file() else {}
    classes = info.get("classes")
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


def read_info(folder: Path) -> dict[str, Any]:
    """What model.json says; `BadInput` when it can't be read or names no classes."""
    path = folder / "model.json"
    try:
        info = read_json(path)
        _ = info["classes"][0]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadInput(_unreadable(path, error)) from None
    return info


def as_columns(network: keras.Model, classes: list[str]) -> keras.Model:
    """The same model with one output [B, C] in the order of `classes`."""
    columns = keras.ops.stack([network.output[name] for name in classes], axis=1)
    return keras.Model(network.inputs, columns)


def recipe_of(network: keras.Model) -> Recipe:
    """How the training images were made of photos, as the model's own first layers tell.

    The size is 0 where they don't; without a word of their encoding they were kept losslessly.
    """
    recipe = Recipe(0, "stretch", "png", 0)
    for operation in network.operations:
        if type(operation).__name__ == "Resize":
            crop, pad = operation.crop_to_aspect_ratio, operation.pad_to_aspect_ratio
            way = "crop" if crop else "pad" if pad else "stretch"
            recipe = recipe._replace(size=min(operation.size), resize=way)
        elif told := re.fullmatch(STORED_AS.format("(jpeg|png)", r"(\d+)"), operation.name):
            recipe = recipe._replace(format=told[1], quality=int(told[2]))
        if operation.name == "resized":
            break
    return recipe


def _unreadable(path: Path, error: Exception) -> str:
    reason = "there is no such file" if not path.is_file() else type(error).__name__
    return f"{path}: is not a readable model ({reason}); train it again"
