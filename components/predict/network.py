"""A trained model with all that is needed to use it on a photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from components.imaging.classifier import as_columns, load_classifier
from components.imaging.framework import keras, tf
from components.runtime.schema import BadInput


class Classifier:
    """Square RGB images 0-255 in, probabilities of `classes` out.

    `size` (pixels a side) and `resize` (stretch, crop or pad) tell how the training images were
    made of photos: a photo must come the same way (`components.imaging.decoding.decode_resized`).
    """

    def __init__(self, folder: Path) -> None:
        """Load `model.keras`, and `model.json` where it is; `BadInput` when they can't be used."""
        self.info, self.classes, self.network = load_classifier(folder, with_info=False)
        self.size, self.resize = _training_images(self.network)
        self.size = self.size or min(self.info.get("image_size", [0]))
        if not self.size:
            raise BadInput(f"{folder}: the size of the model's images is not known")
        self.core = _without_resizing(self.network)
        forward = as_columns(self.core, self.classes)
        shape = tf.TensorSpec([None, self.size, self.size, 3], tf.float32)
        self._forward = tf.function(
            lambda images: tf.cast(forward(images, training=False), tf.float32),
            input_signature=[shape],
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """[B, C] float32 probabilities of [B, size, size, 3] images."""
        return self._forward(tf.cast(images, tf.float32)).numpy()


def _training_images(network: keras.Model) -> tuple[int, str]:
    """Side and way of resizing of the training images, as the model's own first layers tell.

    The side is 0 where they don't.
    """
    for operation in network.operations:
        if type(operation).__name__ == "Resize":
            crop, pad = operation.crop_to_aspect_ratio, operation.pad_to_aspect_ratio
            return min(operation.size), "crop" if crop else "pad" if pad else "stretch"
    return 0, "stretch"


def _without_resizing(network: keras.Model) -> keras.Model:
    """The model from where its images have the right size; itself if that can't be told.

    Resizing to the same size changes nothing and costs a tenth of a small network.
    """
    for layer in network.layers:
        if layer.name == "resized":
            return keras.Model(layer.output, network.output)
    return network
