"""A trained model with all that is needed to use it on a photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from components.files import read_json
from components.framework import keras, tf
from components.schema import BadInput


class Classifier:
    """Square RGB images 0-255 in, probabilities of `classes` out.

    `size` (pixels a side) and `resize` (stretch, crop or pad) tell how the training images were
    made of photos: a photo must come the same way (`components.images.decode_resized`).
    """

    def __init__(self, folder: Path) -> None:
        """Load `model.keras`, and `model.json` where it is; `BadInput` when they can't be used."""
        path = folder / "model.keras"
        try:
            self.info: dict[str, Any] = _info(folder / "model.json")
            self.network = keras.saving.load_model(path, compile=False)
        except Exception as error:  # a damaged file fails in zipfile, h5py, json or Keras
            reason = "there is no such file" if not path.is_file() else type(error).__name__
            raise BadInput(f"{path}: is not a readable model ({reason})") from None
        outputs = self.network.output
        self.named = isinstance(outputs, dict)
        classes = list(outputs) if self.named else self.info.get("classes")
        if not classes or not (self.named or outputs.shape[-1] == len(classes)):
            raise BadInput(
                f"{path}: the names of its classes are not known; name a model by its reference, "
                "or by a folder with model.json"
            )
        self.classes: list[str] = self.info.get("classes", classes)
        self.size, self.resize = _training_images(self.network)
        if self.size is None:
            self.size = min(self.info.get("image_size") or [0])
        if not self.size:
            raise BadInput(f"{path}: the size of its images is not known; give it model.json")
        self.core = _without_resizing(self.network)
        shape = tf.TensorSpec([None, self.size, self.size, 3], tf.float32)
        self._forward = tf.function(self._columns, input_signature=[shape])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """[B, C] float32 probabilities of [B, size, size, 3] images."""
        return self._forward(tf.cast(images, tf.float32)).numpy()

    def _columns(self, images: tf.Tensor) -> tf.Tensor:
        outputs = self.core(images, training=False)
        if self.named:
            outputs = tf.stack([tf.reshape(outputs[name], [-1]) for name in self.classes], axis=1)
        return tf.cast(outputs, tf.float32)


def _info(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _training_images(network: keras.Model) -> tuple[int | None, str]:
    """Side and way of resizing of the training images, as the model's own first layers tell."""
    for layer in _layers(network):
        if type(layer).__name__ == "Resize":
            crop, pad = layer.crop_to_aspect_ratio, layer.pad_to_aspect_ratio
            return min(layer.size), "crop" if crop else "pad" if pad else "stretch"
    return None, "stretch"


def _without_resizing(network: keras.Model) -> keras.Model:
    """The model from where its images have the right size; itself if that can't be told.

    Resizing to the same size changes nothing and costs a tenth of a small network.
    """
    for layer in network.layers:
        if layer.name == "resized":
            return keras.Model(layer.output, network.output)
    return network


def _layers(network: keras.Model) -> Iterator[keras.Layer]:
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer
