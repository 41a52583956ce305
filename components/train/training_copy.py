"""The copy of a classifier that trains: same layers and weights, made faster for this machine.

The classifier that is saved stays plain Keras in float32; the copy may compute in half precision
and has its batch norm in one fused operation, which halves the time of a step on a CPU.
"""

from __future__ import annotations

from typing import Any

from components.imaging.framework import keras, tf
from components.networks.variables import copy_weights


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch norm over [B, H, W, C] as Keras defines it, computed by TensorFlow's fused kernel."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        if self.synchronized or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        normalized, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma if self.scale else tf.ones(inputs.shape[-1]),
            offset=self.beta if self.center else tf.zeros(inputs.shape[-1]),
            mean=[] if training else self.moving_mean,
            variance=[] if training else self.moving_variance,
            epsilon=self.epsilon,
            is_training=bool(training),
        )
        if training:  # the kernel's variance is that of a sample, Keras wants the population's
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
            _move(self.moving_mean, mean, self.momentum)
            _move(self.moving_variance, variance * (count - 1) / count, self.momentum)
        return normalized


def _move(average: keras.Variable, value: tf.Tensor, momentum: float) -> None:
    average.assign(average * momentum + value * (1 - momentum))


def training_copy(model: keras.Model, policy: str, synchronized: bool) -> keras.Model:
    """A copy of `model` without resizing, with fused batch norm, that computes as `policy` says.

    `synchronized` takes the statistics of batch norm over the batches of all devices.
    """

    def convert(layer: keras.Layer) -> keras.Layer:
        kind, config = type(layer), layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            kind, config["synchronized"] = FusedBatchNormalization, synchronized
        if isinstance(layer, keras.Layer) and layer.name not in ("logits", "probabilities"):
            config["dtype"] = policy
        return kind.from_config(config)

    inner = keras.Model(model.get_layer("resized").output, model.output)
    copy = keras.models.clone_model(inner, clone_function=convert)
    copy_weights(model, copy)
    return copy
