"""From a model's folder and a dataset's split to predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from components.evaluate.predictions import Predictions
from components.imaging.classifier import as_columns, load_classifier
from components.imaging.dataloader import OnDisk
from components.imaging.framework import keras, tf
from components.networks.features import Extractor
from components.runtime.schema import BadInput

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma
LOOKED_AT = 64  # images at a time

Batch = Callable[[np.ndarray], np.ndarray]


class Classifier:
    """A trained model: raw RGB images 0-255 [B, H, W, 3] in, probabilities [B, C] out."""

    def __init__(self, folder: Path, role: str = "model", features: Iterable[Path] = ()) -> None:
        """Load `model.json` and `model.keras`; `BadInput` when they can't be read.

        `role` is what errors call it: model or champion. `features` are folders with those of
        images, which are computed where they are not of its backbone.
        """
        self.role = role
        self.info, self.classes, network = load_classifier(folder, with_info=True)
        self.network = as_columns(network, self.classes)
        self._known = features
        of_features = self.network.get_layer("features").output
        self._head = _forward(keras.Model(of_features, self.network.output))
        self._whole = _forward(self.network)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """[B, C] float64 probabilities whose rows sum to 1."""
        return self._whole(images)

    def of_split(self, images: OnDisk) -> np.ndarray:
        """The same for a dataset's images, from their features."""
        own = self.network.get_layer("resized").output
        is_own = own.shape[1:3] == (images.height, images.width)
        features = self.network.get_layer("features").output
        backbone = keras.Model(own if is_own else self.network.inputs, features)
        return self._head(Extractor(backbone, self._known)(images))

    def columns(self, classes: list[str]) -> list[int]:
        """Where each of a dataset's classes is in the output; `BadInput` when they differ."""
        if sorted(classes) != sorted(self.classes):
            raise BadInput(
                f"evaluate: the {self.role} knows the classes {', '.join(self.classes)}, the "
                f"dataset has {', '.join(classes)}; train a model on this dataset"
            )
        return [self.classes.index(name) for name in classes]


def _forward(network: keras.Model) -> Batch:
    """Values [B, ...] to float64 probabilities [B, C] whose rows sum to 1."""
    forward = tf.function(
        lambda values: tf.cast(network(values, training=False), tf.float32),
        input_signature=[tf.TensorSpec(network.input_shape, tf.float32)],
    )

    def probabilities(values: np.ndarray) -> np.ndarray:
        found = forward(tf.cast(values, tf.float32)).numpy().astype(np.float64)
        return found / found.sum(axis=1, keepdims=True)

    return probabilities


def predict(
    classifier: Classifier, images: OnDisk, classes: list[str], look: bool = False
) -> Predictions:
    """The classifier's predictions for a split, in the order of `images.csv`.

    Only with `look` are the images read for how sharp they are.
    """
    columns = classifier.columns(classes)
    return Predictions(
        images=images.images,
        classes=classes,
        labels=np.array([classes.index(image.label) for image in images.images]),
        probabilities=classifier.of_split(images)[:, columns],
        sharpness=_sharpness(images) if look else np.zeros(len(images.images)),
    )


def sample(images: OnDisk, at_most: int) -> np.ndarray:
    """The first images [N, H, W, 3] uint8; their order is shuffled."""
    first = images.loaded.batches(np.arange(min(at_most, len(images.images))), at_most)
    return next(iter(first))[0].numpy()


def _sharpness(images: OnDisk) -> np.ndarray:
    batches = images.loaded.batches(np.arange(len(images.images)), LOOKED_AT)
    return np.concatenate([sharpness(pixels.numpy().astype(np.float32)) for pixels, _ in batches])


def sharpness(images: np.ndarray) -> np.ndarray:
    """[B] variance of the Laplacian of the grey image [B, H, W, 3]; low where it is blurred."""
    grey = images @ GREY
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return (around - 4 * inner).var(axis=(1, 2))
