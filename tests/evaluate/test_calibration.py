"""Calibration error and temperature."""

import numpy as np
import pytest

from components.evaluate.calibration import (
    calibrate,
    calibration_error,
    fit_temperature,
    reliability,
    with_temperature,
)
from tests.evaluate.builders import make_predictions


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


def predictions_of(labels, probabilities):
    return make_predictions(labels.tolist(), probabilities.tolist())


@pytest.mark.parametrize(
    ("images", "too_sure", "applied"), [(800, 3, True), (800, 1, False), (12, 1.5, False)]
)
def test_a_temperature_is_applied_only_where_it_is_clearly_better(images, too_sure, applied):
    random = np.random.default_rng(3)
    logits = random.normal(0, 1.5, (2 * images, 3))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (honest.cumsum(1) < random.random((2 * images, 1))).sum(1)
    told = with_temperature(honest, 1 / too_sure)
    test = predictions_of(labels[:images], told[:images])
    validation = predictions_of(labels[images:], told[images:])
    new_test, new_validation, found = calibrate(test, validation, bins=10)
    assert found["applied"] is applied
    for old, new in ((test, new_test), (validation, new_validation)):
        wanted = with_temperature(old.probabilities, found["temperature"] if applied else 1)
        np.testing.assert_allclose(new.probabilities, wanted, atol=1e-12)
        assert (new.predicted == old.predicted).all()
    if applied:
        assert found["log_loss"] == new_test.losses.mean() < found["without"]["log_loss"]
        assert found["calibration_error"] < found["without"]["calibration_error"] / 2
    assert found["without"]["log_loss"] == test.losses.mean()


def test_what_is_very_improbable_is_scaled_as_the_rest():
    """No clipping of what a float32 softmax gives: a model with the temperature within agrees."""
    logits = np.array([[30.0, 0.0, 2.0]])
    whole = np.exp(logits) / np.exp(logits).sum()
    scaled = np.exp(logits / 4) / np.exp(logits / 4).sum()
    np.testing.assert_allclose(with_temperature(whole, 4), scaled, rtol=1e-9)


def test_no_temperature_without_a_mistake():
    assert fit_temperature(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])) is None
