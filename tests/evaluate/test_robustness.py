"""Worse pictures."""

import numpy as np
import pytest

from components.evaluate.robustness import CORRUPTIONS, robustness


@pytest.mark.parametrize("corruption", CORRUPTIONS[1:], ids=lambda c: f"{c.kind} {c.strength}")
def test_a_corruption_keeps_shape_and_changes_pixels(corruption):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    worse = corruption.apply(pixels, np.random.default_rng(0))
    assert (worse.shape, worse.dtype) == ((40, 60, 3), np.uint8)
    assert np.abs(worse.astype(int) - pixels).mean() > 3


def test_darkness_and_noise_have_the_stated_strength():
    grey = np.full((50, 50, 3), 128, np.uint8)
    by_name = {(c.kind, c.strength): c.apply for c in CORRUPTIONS}
    random = np.random.default_rng(0)
    assert (by_name["darkness", "half as bright"](grey, random) == 64).all()
    noisy = by_name["noise", "deviation 10 of 255"](grey, random)
    assert noisy.std() == pytest.approx(10, abs=0.5)


def test_table_of_a_model_that_sees_brightness_only():
    images = np.stack([np.full((16, 16, 3), level, np.uint8) for level in (40, 200, 60, 220, 210)])
    labels = np.array([0, 1, 0, 1, 1])

    def bright(pixels):
        share = pixels.mean(axis=(1, 2, 3)) > 128
        return np.stack([~share, share], axis=1).astype(float)

    rows = robustness(bright, images, labels, batch_size=2, level=0.95, seed=1)
    accuracy = {(row["kind"], row["strength"]): row["accuracy"] for row in rows}
    assert accuracy["none", ""] == 1
    assert accuracy["darkness", "a quarter as bright"] == pytest.approx(2 / 5)
    assert accuracy["rotation", "45 degrees"] == 1
    assert all(row["interval"][0] <= row["accuracy"] <= row["interval"][1] for row in rows)
