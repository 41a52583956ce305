"""From a model's folder and a dataset's split to predictions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from components.evaluate.predictions import Predictions
from components.imaging.classifier import as_columns, load_classifier, read_info
from components.imaging.dataloader import OnDisk
from components.imaging.framework import keras, tf
from components.networks.features import Extractor
from components.networks.heads import head_of, load_head
from components.networks.probabilities import normalized
from components.runtime.schema import BadInput

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma
LOOKED_AT = 64  # images at a time


class Classifier:
    """A trained model: raw RGB images 0-255 [B, H, W, 3] in, probabilities [B, C] out."""

    def __init__(self, folder: Path, role: str = "model", features: Iterable[Path] = ()) -> None:
        """Read `model.json`, and `model.keras` once it is needed; `BadInput` when they can't be.

        `role` is what errors call it: model or champion. `features` are folders with those of
        images, which are computed where they are not of its backbone.
        """
        self.role, self._folder, self._features = role, folder, features
        self.info = read_info(folder)
        self.classes: list[str] = self.info["classes"]
        self._head = load_head(folder, self.classes) or head_of(self.network)

    @functools.cached_property
    def network(self) -> keras.Model:
        """The whole model."""
        return as_columns(load_classifier(self._folder, with_info=True).network, self.classes)

    @functools.cached_property
    def _forward(self) -> Callable[[tf.Tensor], tf.Tensor]:
        shape = tf.TensorSpec([None, None, None, 3], tf.float32)
        return tf.function(
            lambda images: tf.cast(self.network(images, training=False), tf.float32),
            input_signature=[shape],
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """[B, C] float64 probabilities whose rows sum to 1."""
        return normalized(self._forward(tf.cast(images, tf.float32)))

    def of_split(self, images: OnDisk) -> np.ndarray:
        """The same for a dataset's images, by their features."""
        size, own = [images.height, images.width], self.info["image_size"]
        if size == own:
            extract = Extractor(self._head.backbone, self._backbone("resized"), self._features)
        else:  # nobody keeps those of images that have to be resized
            extract = Extractor("", self._backbone("image"))
        return self._head.classify(extract(images))

    def _backbone(self, begin: str) -> Callable[[], keras.Model]:
        def layers() -> keras.Model:
            ends = (self.network.get_layer(name).output for name in (begin, "features"))
            return keras.Model(*ends)

        return layers

    def columns(self, classes: list[str]) -> list[int]:
        """Where each of a dataset's classes is in the output; `BadInput` when they differ."""
        if sorted(classes) != sorted(self.classes):
            raise BadInput(
                f"evaluate: the {self.role} knows the classes {', '.join(self.classes)}, the "
                f"dataset has {', '.join(classes)}; train a model on this dataset"
            )
        return [self.classes.index(name) for name in classes]


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
