"""Grad-CAM: the regions of an image that spoke for the predicted class.

Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391
"""

from __future__ import annotations

import numpy as np

from components.imaging.framework import keras, tf


def feature_maps(network: keras.Model) -> keras.KerasTensor | None:
    """The map of features [B, h, w, F] that the classifying head takes in, or None without one.

    That is the last input of a layer that is such a map and has trained weights before it.
    """
    found, weights = None, 0
    for layer in network.layers:
        if not isinstance(layer, keras.Model):  # whose own input is of another graph
            taken = getattr(layer, "input", None)
            if weights and len(getattr(taken, "shape", ())) == 4:
                found = taken
        weights += layer.count_params()
    return found


def heat_maps(network: keras.Model, images: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
    """[B, h, w] in 0..1 for images [B, H, W, 3] 0-255 and the output `targets` [B] int.

    The gradient is that of the log odds, which unlike the probability's does not vanish where the
    model is sure. None when the model has no map of features.
    """
    maps = feature_maps(network)
    if maps is None:
        return None
    both = keras.Model(network.inputs, [maps, network.output])
    images = tf.cast(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)  # also records what follows frozen layers
        features, probabilities = both(images, training=False)
        probability = tf.gather(tf.cast(probabilities, tf.float32), targets, batch_dims=1)
        probability = tf.clip_by_value(probability, 1e-7, 1 - 1e-6)
        odds = tf.math.log(probability) - tf.math.log1p(-probability)
    slopes = tf.cast(tape.gradient(odds, features), tf.float32)
    weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(weights * tf.cast(features, tf.float32), axis=-1)).numpy()
    return maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12)
