"""Accuracy on worse pictures: what is left under blur, noise, compression, darkness, rotation.

The kinds follow Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261; sizes are relative
to the picture, so that the table means the same at 64 and at 224 pixels.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from components.evaluate.bootstrap import wilson

Pixels = np.ndarray  # [H, W, 3] uint8


class Corruption(NamedTuple):
    """One row of the table: a kind, its strength in words, and what it does to a picture."""

    kind: str
    strength: str
    apply: Callable[[Pixels, np.random.Generator], Pixels]


def blur(pixels: Pixels, _: np.random.Generator, radius: float) -> Pixels:
    """Gaussian blur; `radius` is a share of the shorter side."""
    radius *= min(pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def noise(pixels: Pixels, random: np.random.Generator, deviation: float) -> Pixels:
    """Gaussian noise; `deviation` in grey levels of 255."""
    noisy = pixels + random.normal(0, deviation, pixels.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def jpeg(pixels: Pixels, _: np.random.Generator, quality: int) -> Pixels:
    """Saved as JPEG and read again."""
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))


def darken(pixels: Pixels, _: np.random.Generator, factor: float) -> Pixels:
    """All grey levels times `factor`."""
    return np.rint(pixels * factor).astype(np.uint8)


def rotate(pixels: Pixels, _: np.random.Generator, degrees: float) -> Pixels:
    """Turned anticlockwise about the centre, the corners filled with the mean colour."""
    fill = tuple(int(level) for level in pixels.mean(axis=(0, 1)))
    turned = Image.fromarray(pixels).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill)
    return np.asarray(turned)


CORRUPTIONS = [
    Corruption("none", "", lambda pixels, _: pixels),
    Corruption("blur", "radius 1 % of the side", partial(blur, radius=0.01)),
    Corruption("blur", "radius 3 % of the side", partial(blur, radius=0.03)),
    Corruption("noise", "deviation 10 of 255", partial(noise, deviation=10)),
    Corruption("noise", "deviation 30 of 255", partial(noise, deviation=30)),
    Corruption("JPEG", "quality 30", partial(jpeg, quality=30)),
    Corruption("JPEG", "quality 10", partial(jpeg, quality=10)),
    Corruption("darkness", "half as bright", partial(darken, factor=0.5)),
    Corruption("darkness", "a quarter as bright", partial(darken, factor=0.25)),
    Corruption("rotation", "15 degrees", partial(rotate, degrees=15)),
    Corruption("rotation", "45 degrees", partial(rotate, degrees=45)),
]


def robustness(
    score: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    level: float,
    seed: int,
) -> list[dict[str, Any]]:
    """One row a corruption, the first without any: [{kind, strength, images, accuracy, interval}].

    `score` maps images [B, H, W, 3] to probabilities [B, C]; `images` [N, H, W, 3] are uint8.
    """
    rows = []
    for kind, strength, apply in CORRUPTIONS:
        random = np.random.default_rng(seed)
        hits = 0
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            worse = np.stack([apply(pixels, random) for pixels in images[part]])
            hits += int((score(worse).argmax(axis=1) == labels[part]).sum())
        row = {"kind": kind, "strength": strength, "images": len(images)}
        row |= {"accuracy": hits / len(images), "interval": wilson(hits, len(images), level)}
        rows.append(row)
    return rows
