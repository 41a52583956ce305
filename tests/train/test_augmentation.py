"""Augmentation: what each parameter does to pixels and targets."""

from __future__ import annotations

import numpy as np
import pytest

from components.imaging.framework import tf
from components.networks.augmentation import augment_images, mix_images
from tests.train.helpers import PLAIN, settings

SEED = tf.constant([1, 2])
RAMP = np.broadcast_to(
    np.linspace(0, 250, 16, dtype=np.float32)[None, None, :, None], (32, 16, 16, 3)
)


def augmented(seed: tf.Tensor = SEED, **changes: float) -> np.ndarray:
    return augment_images(settings(**(PLAIN | changes)))(RAMP, seed).numpy()


def test_nothing_switched_on_is_nothing_done() -> None:
    assert augment_images(settings(**PLAIN)) is None
    assert mix_images(settings()) is None


@pytest.mark.parametrize(
    "name", ["rotation", "zoom", "shift", "crop", "brightness", "contrast", "saturation"]
)
def test_each_image_changes_by_its_own_amount_and_the_seed_decides(name: str) -> None:
    largest = 90.0 if name == "rotation" else 0.5
    images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype(np.float32)
    augment = augment_images(settings(**(PLAIN | {name: largest})))
    first, second = augment(images, SEED).numpy(), augment(images, SEED).numpy()
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, augment(images, tf.constant([1, 3])).numpy())
    changes = np.abs(first - images).mean(axis=(1, 2, 3))
    assert len(set(changes.round(3))) == 8
    assert first.min() >= 0
    assert first.max() <= 255


def test_flip_mirrors_about_half_of_the_images() -> None:
    images = augmented(flip=True)
    mirrored = np.array([np.allclose(image, RAMP[0][:, ::-1], atol=1e-3) for image in images])
    same = np.array([np.allclose(image, RAMP[0], atol=1e-3) for image in images])
    assert (mirrored | same).all()
    assert 5 < mirrored.sum() < 27


def test_a_shift_moves_and_a_crop_enlarges() -> None:
    slope = 250 / 15  # of the ramp, a pixel
    shifted = augmented(shift=0.25)[:, 8, 6:10, 0] - RAMP[:, 8, 6:10, 0]
    assert np.abs(shifted).max() <= 0.25 * 15 * slope + 1e-3
    cropped = np.diff(augmented(crop=0.5)[:, 8, 4:12, 0], axis=1)
    assert cropped.max() <= slope + 1e-3
    assert cropped.min() >= 0.5 * slope - 1e-3


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_targets_are_mixed_in_the_share_of_the_pixels(name: str) -> None:
    images = np.stack([np.full((8, 8, 3), value, np.float32) for value in (0, 100)])
    targets = np.eye(2, dtype=np.float32)
    for seed in range(5):
        mixed, labels = mix_images(settings(**{name: 1.0}))(images, targets, tf.constant([seed, 0]))
        pixels = mixed.numpy().mean(axis=(1, 2, 3)) / 100
        np.testing.assert_allclose(pixels, labels.numpy()[:, 1], atol=1e-4)
        np.testing.assert_allclose(labels.numpy().sum(axis=1), 1, atol=1e-5)


def test_mixup_and_cutmix_take_turns() -> None:
    images = np.stack([np.full((8, 8, 3), value, np.float32) for value in (0, 100)])
    mix = mix_images(settings(mixup=1.0, cutmix=1.0))
    pasted = set()
    for seed in range(12):
        mixed, _ = mix(images, np.eye(2, dtype=np.float32), tf.constant([seed, 0]))
        pasted.add(set(np.unique(mixed.numpy()).round(3)) <= {0.0, 100.0})
    assert pasted == {True, False}
