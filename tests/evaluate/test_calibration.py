"""Calibration error and temperature."""

import numpy as np
import pytest

from components.evaluate.calibration import (
    calibration_error,
    fit_temperature,
    reliability,
    with_temperature,
)


def test_calibration_error_by_hand():
    confidence, correct = np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, False, True, True])
    # |0.5 - 0.9| and |1 - 0.6|, half of the images each
    assert calibration_error(confidence, correct, bins=2) == pytest.approx(abs(0.75 - 0.75))
    assert calibration_error(confidence, correct, bins=10) == pytest.approx(0.4)


def test_reliability_leaves_out_empty_bins_and_takes_one_into_the_last():
    rows = reliability(np.array([1.0, 0.95, 0.55]), np.array([True, True, False]), bins=10)
    assert [(row["from"], row["images"], row["accuracy"]) for row in rows] == [
        (0.5, 1, 0.0),
        (0.9, 2, 1.0),
    ]


def test_temperature_is_found_again():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (5000, 4))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (honest.cumsum(1) < random.random((5000, 1))).sum(1)
    too_sure = with_temperature(honest, 1 / 3)
    assert fit_temperature(too_sure, labels) == pytest.approx(3, rel=0.06)
    assert (too_sure.argmax(1) == honest.argmax(1)).all()


def test_no_temperature_without_a_mistake():
    assert fit_temperature(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])) is None
