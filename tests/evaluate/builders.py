"""Tiny datasets and models in the stages' format, and predictions made of plain numbers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from components.evaluate.parameters import Evaluate
from components.evaluate.predictions import Predictions
from components.imaging.dataset import Image, save_images, save_info
from components.imaging.packing import ShardWriter

SIDE = 24  # pixels
CONTENT = "c0ffee" * 10


def settings(**changes: object) -> Evaluate:
    """Small and quick settings with everything switched on."""
    values = {
        "gate": "compare",
        "batch_size": 8,
        "confidence_level": 0.95,
        "bootstrap_resamples": 100,
        "calibration_bins": 5,
        "temperature_scaling": True,
        "curves": True,
        "wanted_precision": 0.8,
        "slices": True,
        "gallery_size": 4,
        "samples_per_class": 2,
        "grad_cam_images": 2,
        "label_errors": True,
        "robustness_images": 8,
        "seed": 1,
    }
    return Evaluate(**(values | changes))


def make_dataset(
    folder: Path,
    classes: tuple[str, ...] = ("cat", "dog"),
    counts: dict[str, int] | None = None,
    side: int = SIDE,
) -> Path:
    """A processed dataset; each class has a grey level of its own, which noise makes uncertain.

    `counts` are images per class by split; `side` is in pixels.
    """
    counts = counts or {"train": 6, "validation": 6, "test": 10}
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for split, each in counts.items():
        own = []
        with ShardWriter(folder, images_per_file=1000) as shards:
            for number in range(each):
                for index, label in enumerate(classes):
                    level = 255 * (index + 0.5) / len(classes) + random.normal(0, 45)
                    picture = _noise(random, level, side)
                    path = f"{split}/{label}/{number}.jpg"
                    name = path.encode("utf-8", "surrogateescape")
                    digest = hashlib.sha256(name).hexdigest()
                    shards.add(digest, _as_jpeg(picture))
                    own.append(
                        Image(
                            path=path,
                            label=label,
                            split=split,
                            sha256=digest,
                            width=100 + number,
                            height=80,
                            brightness=float(picture.mean()),
                        )
                    )
        rows += shards.placed(own)
    save_images(folder, rows, "processed")
    save_info(
        folder,
        {
            "kind": "processed",
            "classes": list(classes),
            "image_size": [side, side],
            "counts": {split: dict.fromkeys(classes, each) for split, each in counts.items()},
            "content": CONTENT,
            "raw": CONTENT,
            "left_out": [{"path": "broken.jpg", "reason": "is empty <0 bytes>"}],
            "parameters": {"image_size": side, "resize": "stretch"},
        },
    )
    return folder


def _noise(random: np.random.Generator, level: float, side: int) -> np.ndarray:
    pixels = random.integers(-60, 61, (side, side, 3)) + level
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _as_jpeg(pixels: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        Picture.fromarray(pixels).save(file, "JPEG", quality=90)
        return file.getvalue()


def make_model(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), seed: int = 1) -> Path:
    """A convolution whose output falls with the distance to each class's grey level."""
    from components.imaging.framework import keras
    from components.networks.models import with_class_names

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None, None, 3), name="image")
    x = keras.layers.Identity(name="resized")(inputs)
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="grey")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = keras.layers.Dense(len(classes), name="logits")(x)
    network = keras.Model(inputs, keras.layers.Softmax()(logits))
    network.get_layer("grey").set_weights(
        [np.full((3, 3, 3, 4), 1 / 27, "float32"), np.zeros(4, "float32")]
    )
    levels = (np.arange(len(classes)) + 0.5) / len(classes)
    sharp = 12 * len(classes)  # logits 2 k l g - k l^2, largest where the level g is nearest
    weights = np.repeat(2 * sharp * levels[None] / 4, 4, axis=0)
    network.layers[-2].set_weights([weights, -sharp * levels**2])
    folder.mkdir(parents=True, exist_ok=True)
    with_class_names(network, list(classes)).save(folder / "model.keras")
    info = {
        "classes": list(classes),
        "architecture": "small_resnet",
        "image_size": [SIDE, SIDE],
        "parameters": {"epochs": 3, "weights": None},
        "dataset": CONTENT,
        "validation": {"loss": 0.4, "accuracy": 0.8},
        "epochs": 3,
        "best_epoch": 2,
        "content": "beef" * 16,
    }
    (folder / "model.json").write_text(json.dumps(info))
    (folder / "trained_on.txt").write_text("0123abcd\n")
    with (folder / "history.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"]
        )
        for epoch in range(1, 4):
            table.writerow([epoch, 1 / epoch, 1 - 0.5 / epoch, 1.1 / epoch, 1 - 0.6 / epoch, 0.001])
    Picture.new("RGB", (5 * SIDE, SIDE), "teal").save(folder / "augmentation.png")
    return folder


def make_predictions(
    labels: list[int], probabilities: list[list[float]], classes: list[str] | None = None
) -> Predictions:
    """Predictions of images that exist only by name."""
    classes = classes or ["cat", "dog", "owl"][: len(probabilities[0])]
    return Predictions(
        images=[
            Image(path=f"{classes[label]}/{n}.jpg", label=classes[label], width=10, height=10)
            for n, label in enumerate(labels)
        ],
        classes=classes,
        labels=np.array(labels),
        probabilities=np.array(probabilities, float),
        sharpness=np.arange(len(labels), dtype=float),
    )
