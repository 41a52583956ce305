"""Models with starting weights, as files, and photos of several sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.train.helpers import settings

CLASSES = ["cat", "dog"]


def untrained(
    folder: Path,
    architecture: str = "small_resnet",
    side: int = 32,
    resize: str = "stretch",
    stored_as: tuple[str, int] = ("png", 0),
) -> Path:
    """The folder of a classifier that was never trained."""
    from components.imaging.framework import keras
    from components.networks.models import build_classifier, with_class_names

    keras.utils.set_random_seed(1)
    chosen = settings(architecture=architecture)
    size = (side, side)
    network = build_classifier(chosen, len(CLASSES), size, resize, stored_as=stored_as)
    _spread(network)
    folder.mkdir(parents=True, exist_ok=True)
    with_class_names(network, CLASSES).save(folder / "model.keras")
    info = {
        "classes": CLASSES,
        "architecture": architecture,
        "image_size": [side, side],
        "parameters": {},
        "content": "beef" * 16,
        "dataset": "c0ffee" * 10,
        "validation": {"loss": 0.5, "accuracy": 0.75},
        "epochs": 3,
        "best_epoch": 2,
    }
    (folder / "model.json").write_text(json.dumps(info))
    return folder


def draw_photos(folder: Path, number: int, seed: int = 0) -> list[Path]:
    """Colourful JPEG files, each of another size and colour."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = []
    for index in range(number):
        shape = (40 + index % 7 * 11, 50 + index % 5 * 13)
        small = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize(shape[::-1], Image.Resampling.BICUBIC)
        paths.append(folder / f"{index:03d}.jpg")
        picture.save(paths[-1], quality=92)
    return paths


def _spread(network) -> None:
    """Make the probabilities of different pictures differ widely, on both sides of a half."""
    images = np.random.default_rng(1).integers(0, 256, (32, 2, 2, 3)).astype(np.float32)
    logits = network.get_layer("logits")
    for factor in (50, 1):
        weights, bias = logits.get_weights()
        logs = np.log(network.predict(images, verbose=0))
        logits.set_weights([weights * factor, factor * (bias - logs.mean(axis=0))])
