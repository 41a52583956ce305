"""From a model's folder and a dataset's split to predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from components.evaluate.predictions import Predictions
from components.imaging.classifier import as_columns, load_classifier
from components.imaging.dataloader import load_split
from components.imaging.dataset import load_images
from components.imaging.framework import tf
from components.runtime.progress import progress
from components.runtime.schema import BadInput

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma

Batch = Callable[[np.ndarray], np.ndarray]


class Classifier:
    """A trained model: raw RGB images 0-255 [B, H, W, 3] in, probabilities [B, C] out."""

    def __init__(self, folder: Path, role: str = "model") -> None:
        """Load `model.json` and `model.keras`; `BadInput` when they can't be read.

        `role` is what errors call it: model or champion.
        """
        self.role = role
        self.info, self.classes, network = load_classifier(folder, with_info=True)
        self.network = as_columns(network, self.classes)
        shape = tf.TensorSpec([None, None, None, 3], tf.float32)
        self._forward = tf.function(
            lambda images: tf.cast(self.network(images, training=False), tf.float32),
            input_signature=[shape],
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """[B, C] float64 probabilities whose rows sum to 1."""
        probabilities = self._forward(tf.cast(images, tf.float32)).numpy().astype(np.float64)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def columns(self, classes: list[str]) -> list[int]:
        """Where each of a dataset's classes is in the output; `BadInput` when they differ."""
        if sorted(classes) != sorted(self.classes):
            raise BadInput(
                f"evaluate: the {self.role} knows the classes {', '.join(self.classes)}, the "
                f"dataset has {', '.join(classes)}; train a model on this dataset"
            )
        return [self.classes.index(name) for name in classes]


def predict(
    classifier: Classifier, dataset: Path, split: str, classes: list[str], batch_size: int
) -> Predictions:
    """The classifier's predictions for a split, in the order of `images.csv`."""
    columns = classifier.columns(classes)
    images = load_images(dataset, split)
    batches = load_split(dataset, split, batch_size)
    probabilities, sharpnesses = [], []
    for pixels, _ in progress(batches, total=-(-len(images) // batch_size), label=split):
        pixels = np.asarray(pixels, np.float32)
        probabilities.append(classifier(pixels)[:, columns])
        sharpnesses.append(sharpness(pixels))
    return Predictions(
        images=images,
        classes=classes,
        labels=np.array([classes.index(image.label) for image in images]),
        probabilities=np.concatenate(probabilities),
        sharpness=np.concatenate(sharpnesses),
    )


def sample(
    dataset: Path, test: Predictions, at_most: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first test images, [N, H, W, 3] uint8, and their labels [N]; their order is shuffled."""
    first = load_split(dataset, "test", batch_size).unbatch().take(at_most).batch(at_most)
    images = np.rint(np.asarray(next(iter(first))[0])).astype(np.uint8)
    return images, test.labels[: len(images)]


def sharpness(images: np.ndarray) -> np.ndarray:
    """[B] variance of the Laplacian of the grey image [B, H, W, 3]; low where it is blurred."""
    grey = images @ GREY
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return (around - 4 * inner).var(axis=(1, 2))
