"""The figures of a classifier; how each is computed, and its interval, is in bootstrap.

Sources: precision, recall, F1, areas: scikit-learn's user guide, "Metrics and scoring".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from components.evaluate.bootstrap import figures
from components.evaluate.curves import by_threshold
from components.evaluate.predictions import Predictions

UNEVEN = 1.5  # the largest class has so many times the images of the smallest


def measure(predictions: Predictions, bins: int) -> dict[str, Any]:
    """Accuracy, log loss, areas, calibration error, the figures of each class, the confusions.

    `auc` and `average_precision` are means over the classes, one against the rest (with two
    classes the two areas under ROC are the same number). All are in 0..1 but the log loss (nats).
    `headline` names the accuracy to look at first: where classes are uneven, the balanced one, as
    whoever always answers the largest class gets `majority_accuracy`.
    """
    confusions = np.zeros([len(predictions.classes)] * 2, int)
    np.add.at(confusions, (predictions.labels, predictions.predicted), 1)
    overall, of_class = figures(predictions, np.ones((1, len(predictions))), bins)
    images = np.bincount(predictions.labels, minlength=len(predictions.classes))
    largest = int(images.argmax())
    return {
        "images": len(predictions),
        "headline": "balanced_accuracy" if images.max() > UNEVEN * images.min() else "accuracy",
        "majority_class": predictions.classes[largest],
        "majority_accuracy": images[largest] / len(predictions),
        "correct": int(predictions.correct.sum()),
        **{figure: values[0] for figure, values in overall.items()},
        "per_class": {
            name: {"images": int(images[index])}
            | {figure: np.nan_to_num(values[0, index]) for figure, values in of_class.items()}
            for index, name in enumerate(predictions.classes)
        },
        "confusion_matrix": confusions,
    }


def most_confused(confusion: np.ndarray, classes: list[str], at_most: int) -> list[dict[str, Any]]:
    """The pairs (label, predicted) with the most mistakes: [{label, predicted, images}]."""
    wrong = np.array(confusion) * ~np.eye(len(classes), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:at_most]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [
        {"label": classes[row], "predicted": classes[column], "images": int(wrong[row, column])}
        for row, column in pairs
        if wrong[row, column]
    ]


def threshold_for_precision(
    positive: np.ndarray, scores: np.ndarray, wanted: float
) -> float | None:
    """The lowest score from which on at least `wanted` of the images are positive, or None.

    Lowest means the most images found at that precision.
    """
    thresholds, true, false = by_threshold(positive, scores)
    enough = np.flatnonzero(true / (true + false) >= wanted)
    return float(thresholds[enough[-1]]) if len(enough) else None


def thresholds(
    validation: Predictions, test: Predictions, wanted: float
) -> dict[str, dict[str, float | None]]:
    """For each class the threshold chosen on validation and what it gives on the test images."""
    found: dict[str, dict[str, float | None]] = {}
    for index, name in enumerate(test.classes):
        threshold = threshold_for_precision(
            validation.labels == index, validation.probabilities[:, index], wanted
        )
        row = {"threshold": threshold, "precision": None, "recall": None}
        if threshold is not None:
            chosen = test.probabilities[:, index] >= threshold
            hits = (chosen & (test.labels == index)).sum()
            row["precision"] = hits / chosen.sum() if chosen.any() else None
            row["recall"] = hits / (test.labels == index).sum()
        found[name] = row
    return found
