"""Whether "90 % sure" is right nine times in ten, and the one number that mends it.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from components.evaluate.predictions import SMALLEST, Predictions
from components.networks.probabilities import softmax

TINY = float(np.finfo(np.float32).tiny)  # the least that a softmax gives beside 0
SIGNIFICANT = 3.84  # 95 % quantile of chi-squared with one degree of freedom


def bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """[N] int: the equal-width bin of each confidence; 1.0 falls in the last one."""
    return np.minimum((confidence * bins).astype(int), bins - 1)


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int) -> list[dict[str, Any]]:
    """The bins that hold an image: from, to, images, mean confidence, accuracy."""
    index = bin_of(confidence, bins)
    return [
        {
            "from": number / bins,
            "to": (number + 1) / bins,
            "images": int((index == number).sum()),
            "confidence": confidence[index == number].mean(),
            "accuracy": correct[index == number].mean(),
        }
        for number in np.unique(index)
    ]


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy over the bins, 0..1."""
    gaps = np.bincount(bin_of(confidence, bins), weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """[N, C] the probabilities if the logits had been divided by `temperature`."""
    return softmax(np.log(np.maximum(probabilities, TINY)) / temperature)


def calibrate(
    test: Predictions, validation: Predictions, bins: int
) -> tuple[Predictions, Predictions, dict[str, Any]]:
    """Both with the temperature that fits the validation images, and what it changes on the test.

    They come as they were when no temperature fits these significantly better than none
    (likelihood ratio test): with few images the best one is mostly chance.
    """
    temperature = fit_temperature(validation.probabilities, validation.labels)
    if temperature is None:
        return test, validation, {"temperature": None, "applied": False}
    temperature = round(temperature, 6)  # as metrics.json tells it to who predicts
    test_too, validation_too = (
        replace(p, probabilities=with_temperature(p.probabilities, temperature))
        for p in (test, validation)
    )
    gain = validation.losses.sum() - validation_too.losses.sum()
    applied = bool(2 * gain > SIGNIFICANT)
    told = {"temperature": temperature, "applied": applied, **_of(test_too, bins)}
    told["without"] = _of(test, bins)
    return *((test_too, validation_too) if applied else (test, validation)), told


def _of(test: Predictions, bins: int) -> dict[str, Any]:
    return {
        "log_loss": test.losses.mean(),
        "calibration_error": calibration_error(test.confidence, test.correct, bins),
        "reliability": reliability(test.confidence, test.correct, bins),
    }


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    """The temperature in 0.05..20 with the least log loss; above 1 the model was too sure.

    None when every image is right: then the lower the better, and there is no best one.
    """
    if (probabilities.argmax(axis=1) == labels).all():
        return None

    def loss(log_temperature: float) -> float:
        scaled = with_temperature(probabilities, np.exp(log_temperature))
        of_label = scaled[np.arange(len(labels)), labels]
        return -np.log(np.maximum(of_label, SMALLEST)).mean()

    from scipy.optimize import minimize_scalar  # half a second

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))
