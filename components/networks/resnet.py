"""A small residual network for small pictures, trained from scratch.

He et al. 2016, section 4.2 (the CIFAR networks), with one block a stage and a stem that halves the
resolution: https://arxiv.org/abs/1512.03385
"""

from __future__ import annotations

import functools

from components.imaging.framework import keras

layers = keras.layers
_convolution = functools.partial(layers.Conv2D, padding="same", use_bias=False)
WIDTHS = (16, 32, 64)  # filters of the three stages
MOMENTUM = 0.9  # of the batch norm's moving statistics: small datasets have few steps


def small_resnet(image: keras.KerasTensor) -> keras.KerasTensor:
    """Feature maps [B, H/8, W/8, 64] of images [B, H, W, 3] in -1..1."""
    x = _convolution(WIDTHS[0], 3, strides=2, name="stem_conv")(image)
    x = layers.BatchNormalization(momentum=MOMENTUM, name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    for number, width in enumerate(WIDTHS, start=1):
        x = _block(x, width, strides=1 if number == 1 else 2, name=f"block_{number}")
    return x


def _block(x: keras.KerasTensor, width: int, strides: int, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions and the shortcut around them, projected where the shape changes."""

    def conv_bn(x, kernel, strides, part):
        x = _convolution(width, kernel, strides=strides, name=f"{name}_{part}_conv")(x)
        return layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_{part}_bn")(x)

    same_shape = strides == 1 and x.shape[-1] == width
    shortcut = x if same_shape else conv_bn(x, 1, strides, "0")
    y = layers.ReLU(name=f"{name}_1_relu")(conv_bn(x, 3, strides, "1"))
    y = layers.Add(name=f"{name}_add")([shortcut, conv_bn(y, 3, 1, "2")])
    return layers.ReLU(name=f"{name}_out")(y)
