"""A trained model with all that is needed to use it on a photo."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from components.imaging.classifier import as_columns, load_classifier, recipe_of
from components.imaging.framework import keras, tf
from components.runtime.schema import BadInput


class Classifier:
    """Square RGB images 0-255 in, probabilities of `classes` out.

    `recipe` tells how the training images were made of photos: a photo must come the same way
    (`components.imaging.decoding.as_trained`).
    """

    def __init__(self, folder: Path, temperature: float | None = None) -> None:
        """Load `model.keras`, and `model.json` where it is; `BadInput` when they can't be used.

        `temperature` is what an evaluation divides the logits by; a model that was exported so has
        it within, and tells it.
        """
        self.info, self.classes, self.network = load_classifier(folder, with_info=False)
        self.temperature = self.info.get("temperature")
        if temperature and not self.temperature:
            self.temperature = temperature
            _divide_logits(self.network, temperature)
        recipe = recipe_of(self.network)
        self.recipe = recipe._replace(size=recipe.size or min(self.info.get("image_size", [0])))
        if not self.recipe.size:
            raise BadInput(f"{folder}: the size of the model's images is not known")
        self.core = _without_resizing(self.network)
        forward = as_columns(self.core, self.classes)
        shape = tf.TensorSpec([None, self.recipe.size, self.recipe.size, 3], tf.float32)
        self._forward = tf.function(
            lambda images: tf.cast(forward(images, training=False), tf.float32),
            input_signature=[shape],
        )

        self._stored = tf.function(
            self._through_jpeg, input_signature=[tf.TensorSpec(shape.shape, tf.uint8)]
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """[B, C] float32 probabilities of [B, size, size, 3] images."""
        return self._forward(tf.cast(images, tf.float32)).numpy()

    def stored(self, images: np.ndarray) -> np.ndarray:
        """What the dataset's encoding would leave of images [B, size, size, 3] uint8.

        To the bit what `as_trained` does with Pillow.
        """
        if self.recipe.format == "png":
            return images
        return self._stored(images).numpy()

    def _through_jpeg(self, images: tf.Tensor) -> tf.Tensor:
        again = functools.partial(
            tf.image.adjust_jpeg_quality,
            jpeg_quality=self.recipe.quality,
            dct_method="INTEGER_ACCURATE",
        )
        with tf.device("CPU:0"):
            return tf.map_fn(again, images)


def _divide_logits(network: keras.Model, temperature: float) -> None:
    """Within the weights of the last layer, so that every format of the model has it."""
    layer = network.get_layer("logits")
    layer.set_weights([values / temperature for values in layer.get_weights()])


def _without_resizing(network: keras.Model) -> keras.Model:
    """The model from where its images have the right size; itself if that can't be told.

    Resizing to the same size changes nothing and costs a tenth of a small network.
    """
    for layer in network.layers:
        if layer.name == "resized":
            return keras.Model(layer.output, network.output)
    return network
