"""Augmentation of a whole batch at once, inside the training step.

Flip, rotation, zoom, shift and crop are one projective transform, so pixels are interpolated once.
All draws come from a seed, so a step can be repeated exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from components.imaging.framework import tf
from components.networks.parameters import Features

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma


class Draws:
    """Random numbers of one batch: each call draws others, the same ones for the same seed."""

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed, self._calls = tf.cast(seed, tf.int32), 0

    def seed(self) -> tf.Tensor:
        """A new seed [2] int32."""
        self._calls += 1
        return self._seed + tf.constant([0, self._calls * 1_000_003])

    def uniform(self, count: tf.Tensor, low: float, high: float) -> tf.Tensor:
        """[count] float32 in low..high."""
        return tf.random.stateless_uniform([count], self.seed(), low, high)

    def beta(self, alpha: float) -> tf.Tensor:
        """One number from Beta(alpha, alpha)."""
        gammas = tf.random.stateless_gamma([2], self.seed(), alpha) + 1e-7
        return gammas[0] / tf.reduce_sum(gammas)


Part = Callable[[tf.Tensor, Draws, Features], tf.Tensor]
PARTS: dict[Part, tuple[str, ...]] = {}  # in the order in which they are applied


def augmentation(*fields: str) -> Callable[[Part], Part]:
    """Makes a function part of augmentation where one of these parameters is not zero or false.

    It turns images [B, H, W, 3] float32 0-255 into images alike.
    """

    def register(part: Part) -> Part:
        PARTS[part] = fields
        return part

    return register


def augment_images(settings: Features) -> Augment | None:
    """images [B, H, W, 3] 0-255 and a seed [2] to images alike; None when nothing is on."""
    parts = [part for part, fields in PARTS.items() if any(getattr(settings, f) for f in fields)]
    if not parts:
        return None

    def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = Draws(seed)
        images = tf.cast(images, tf.float32)
        for part in parts:
            images = part(images, draws, settings)
        return images

    return augment


@augmentation("flip", "rotation", "zoom", "shift", "crop")
def move(images: tf.Tensor, draws: Draws, settings: Features) -> tf.Tensor:
    """Flip, rotate, zoom, shift and crop; what comes from outside mirrors the inside."""
    count, height, width = tf.unstack(tf.shape(images)[:3])
    high, wide = tf.cast(height - 1, tf.float32), tf.cast(width - 1, tf.float32)
    turn = settings.rotation * math.pi / 180
    angle = draws.uniform(count, -turn, turn)
    kept = 1 - draws.uniform(count, 0, settings.crop)  # share of the side
    scale = kept * (1 + draws.uniform(count, -settings.zoom, settings.zoom))
    free = (1 - kept) / 2
    right = wide * (
        draws.uniform(count, -settings.shift, settings.shift) + free * draws.uniform(count, -1, 1)
    )
    down = high * (
        draws.uniform(count, -settings.shift, settings.shift) + free * draws.uniform(count, -1, 1)
    )
    mirror = tf.sign(draws.uniform(count, -1, 1)) if settings.flip else tf.ones([count])
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    # An output pixel (x, y) shows the input at (a x + b y + c, d x + e y + f), about the middle.
    a, b, d, e = cosine * mirror, -sine, sine * mirror, cosine
    c = wide / 2 * (1 - a) - high / 2 * b + right
    f = high / 2 * (1 - e) - wide / 2 * d + down
    zero = tf.zeros([count])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], axis=1),
        output_shape=tf.stack([height, width]),
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )
    return tf.ensure_shape(moved, images.shape)


@augmentation("brightness", "contrast", "saturation")
def recolour(images: tf.Tensor, draws: Draws, settings: Features) -> tf.Tensor:
    """Change brightness, contrast and saturation, each image by its own amount."""
    count = tf.shape(images)[0]

    def amounts(largest: float) -> tf.Tensor:
        return draws.uniform(count, -largest, largest)[:, None, None, None]

    if settings.saturation:
        grey = tf.tensordot(images, tf.constant(GREY), 1)[..., None]
        images += (images - grey) * amounts(settings.saturation)
    if settings.contrast:
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        images += (images - mean) * amounts(settings.contrast)
    if settings.brightness:
        images += 255 * amounts(settings.brightness)
    return tf.clip_by_value(images, 0, 255)


def mix_images(settings: Features) -> Callable[..., tuple[tf.Tensor, tf.Tensor]] | None:
    """(images [B, H, W, 3], targets [B, C], seed) to mixed ones, by mixup or cutmix or either."""
    both = ((blend, settings.mixup), (paste, settings.cutmix))
    kinds = [(kind, alpha) for kind, alpha in both if alpha]
    if not kinds:
        return None

    def mix(images: tf.Tensor, targets: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draws = Draws(seed + tf.constant([1, 0]))
        images = tf.cast(images, tf.float32)
        mixed = [kind(images, targets, draws.beta(alpha), draws) for kind, alpha in kinds]
        if len(mixed) == 1:
            return mixed[0]
        first = draws.uniform(1, 0, 1)[0] < 0.5
        return tuple(tf.where(first, one, other) for one, other in zip(*mixed, strict=True))

    return mix


def blend(
    images: tf.Tensor, targets: tf.Tensor, share: tf.Tensor, draws: Draws
) -> tuple[tf.Tensor, tf.Tensor]:
    """mixup: each image becomes `share` of itself and the rest of its neighbour in the batch.

    Zhang et al. 2017, https://arxiv.org/abs/1710.09412
    """
    return _between(images, share), _between(targets, share)


def paste(
    images: tf.Tensor, targets: tf.Tensor, share: tf.Tensor, draws: Draws
) -> tuple[tf.Tensor, tf.Tensor]:
    """cutmix: a box of the neighbour, of area 1 - share, is pasted into each image.

    Yun et al. 2019, https://arxiv.org/abs/1905.04899
    """
    sides = tf.cast(tf.shape(images)[1:3], tf.float32)
    half = sides * tf.sqrt(1 - share) / 2
    middle = draws.uniform(2, 0, 1) * sides
    rows, columns = tf.range(sides[0]), tf.range(sides[1])
    inside = (tf.abs(rows - middle[0]) < half[0])[:, None] & (
        tf.abs(columns - middle[1]) < half[1]
    )[None, :]
    kept = 1 - tf.cast(inside, tf.float32)
    images = _between(images, kept[None, :, :, None])
    return images, _between(targets, tf.reduce_mean(kept))


def _between(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return values * share + tf.roll(values, 1, axis=0) * (1 - share)
