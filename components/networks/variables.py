"""Values of variables out and in, on one device or mirrored over several."""

from __future__ import annotations

import numpy as np

from components.imaging.framework import keras, tf


def values(variables: list[keras.Variable]) -> list[np.ndarray]:
    """Copies of the variables' values."""
    return [tf.convert_to_tensor(variable.value).numpy().copy() for variable in variables]


def assign(variables: list[keras.Variable], arrays: list[np.ndarray]) -> None:
    """Give the variables these values, in the same order; ValueError when they do not fit."""
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Give each layer of `target` the weights of the layer of that name in `source`.

    The order of a model's weights is no guide: it changes when the model is cut or copied. Raises
    ValueError when a layer is missing or has other shapes.
    """
    for layer in target.layers:
        if layer.weights:
            assign(layer.weights, values(source.get_layer(layer.name).weights))
