"""A picture of what augmentation does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from components.imaging.framework import tf
from components.networks.augmentation import augment_images
from components.train.parameters import Train

VIEWS, GAP = 7, 4  # augmented views beside the image itself; pixels between them
SIDE = 128  # pixels of a view in the picture


def save_augmentation(image: np.ndarray, settings: Train, path: Path) -> None:
    """Write a strip: `image` [H, W, 3] uint8 and what augmentation makes of it."""
    augment = augment_images(settings)
    views = np.repeat(image[None], VIEWS, axis=0)
    if augment:
        views = augment(views, tf.constant([settings.seed, 0])).numpy()
    strip = Image.new("RGB", ((VIEWS + 1) * (SIDE + GAP) - GAP, SIDE), "white")
    for place, view in enumerate([image, *views]):
        pixels = Image.fromarray(np.clip(view, 0, 255).astype(np.uint8))
        strip.paste(pixels.resize((SIDE, SIDE)), (place * (SIDE + GAP), 0))
    strip.save(path)
