"""Formats beside Keras' own, each accepted only when it predicts what the model predicts.

TensorFlow Lite is the portable one: TensorFlow writes it without further packages, which ONNX would
need, and its runtime is small and reads it on phones, Windows, macOS and Linux.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.imaging.framework import keras, tf
from components.predict.network import Classifier

TOLERANCE = 1e-4  # of a probability; other kernels sum in another order
MADE_UP = 32  # images to check on, when no photos are given

Named = dict[str, np.ndarray]  # [B] probabilities by class
Predict = Callable[[np.ndarray], Named]


class Format(NamedTuple):
    """How a format is written to a path, and how it is read again to predict."""

    name: str
    path: str
    write: Callable[[Classifier, Path], None]
    load: Callable[[Path], Predict]


def write_saved_model(classifier: Classifier, path: Path) -> None:
    """The whole model: images of any size."""
    _export(classifier.network, path, "tf_saved_model")


def write_tflite(classifier: Classifier, path: Path) -> None:
    """The model without its first resizing: TensorFlow Lite has none without aliasing."""
    inputs = keras.Input((classifier.recipe.size, classifier.recipe.size, 3), name="image")
    _export(keras.Model(inputs, classifier.core(inputs)), path, "litert")


def load_saved_model(path: Path) -> Predict:
    """Predicts through the signature that serving uses."""
    loaded = tf.saved_model.load(path)

    def predict(images: np.ndarray) -> Named:
        found = loaded.signatures["serving_default"](image=tf.constant(images, tf.float32))
        return {name: value.numpy() for name, value in found.items()}

    return predict


def load_tflite(path: Path) -> Predict:
    """Predicts with TensorFlow's own interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it moves to a package of its own one day
        run = tf.lite.Interpreter(str(path)).get_signature_runner()
    return lambda images: run(image=images.astype(np.float32))


FORMATS = (
    Format("SavedModel", "saved_model", write_saved_model, load_saved_model),
    Format("TensorFlow Lite", "model.tflite", write_tflite, load_tflite),
)


def largest_difference(predict: Predict, classifier: Classifier, images: np.ndarray) -> float:
    """Of any probability of any image, between a format and the model itself."""
    wanted = classifier.network.predict(images.astype(np.float32), verbose=0)
    found = predict(images)
    if sorted(found) != sorted(classifier.classes):
        raise ValueError(f"its outputs are {', '.join(found)}")
    gaps = [np.abs(found[n].reshape(-1) - wanted[n].reshape(-1)).max() for n in classifier.classes]
    return float(np.max(gaps))  # not a number stays one


def made_up_images(size: int) -> np.ndarray:
    """[N, size, size, 3] uint8: smooth colours, noise, and single colours."""
    random = np.random.default_rng(0)
    images = np.empty((MADE_UP, size, size, 3), np.uint8)
    for number in range(MADE_UP):
        grid = (1, 3, 8, size)[number % 4]
        coarse = random.integers(0, 256, (1, grid, grid, 3)).astype(np.float32)
        method = "bicubic" if grid < size else "nearest"
        smooth = tf.image.resize(coarse, (size, size), method)[0].numpy()
        images[number] = np.clip(np.rint(smooth), 0, 255)
    return images


def _export(network: keras.Model, path: Path, format: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.export(path, format=format, verbose=False)
