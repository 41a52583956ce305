"""The figures of a classifier. scikit-learn computes what it has; the intervals are in bootstrap.

Sources: precision, recall, F1, areas: scikit-learn's user guide, "Metrics and scoring".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import metrics as sk

from components.evaluate.calibration import calibration_error
from components.evaluate.predictions import Predictions

UNEVEN = 1.5  # the largest class has so many times the images of the smallest


def measure(predictions: Predictions, bins: int) -> dict[str, Any]:
    """Accuracy, log loss, areas, calibration error, the figures of each class, the confusions.

    `auc` and `average_precision` are means over the classes, one against the rest (with two
    classes the two areas under ROC are the same number). All are in 0..1 but the log loss (nats).
    `headline` names the accuracy to look at first: where classes are uneven, the balanced one, as
    whoever always answers the largest class gets `majority_accuracy`.
    """
    labels, predicted = predictions.labels, predictions.predicted
    every = np.arange(len(predictions.classes))
    precision, recall, f1, images = sk.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0.0
    )
    auc, average_precision = np.transpose([areas(predictions, index) for index in every])
    per_class = {
        name: {
            "images": int(images[index]),
            "precision": precision[index],
            "recall": recall[index],
            "f1": f1[index],
            "auc": auc[index],
            "average_precision": average_precision[index],
        }
        for index, name in enumerate(predictions.classes)
    }
    largest = int(images.argmax())
    return {
        "images": len(predictions),
        "headline": "balanced_accuracy" if images.max() > UNEVEN * images.min() else "accuracy",
        "majority_class": predictions.classes[largest],
        "majority_accuracy": images[largest] / len(predictions),
        "correct": int(predictions.correct.sum()),
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": recall.mean(),
        "log_loss": predictions.losses.mean(),
        "auc": auc.mean(),
        "average_precision": average_precision.mean(),
        "calibration_error": calibration_error(predictions.confidence, predictions.correct, bins),
        "per_class": per_class,
        "confusion_matrix": sk.confusion_matrix(labels, predicted, labels=every),
    }


def areas(predictions: Predictions, index: int) -> tuple[float, float]:
    """Area under ROC and average precision of one class against the rest."""
    positive, scores = predictions.labels == index, predictions.probabilities[:, index]
    return sk.roc_auc_score(positive, scores), sk.average_precision_score(positive, scores)


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
    precision, _, thresholds = sk.precision_recall_curve(positive, scores)
    enough = np.flatnonzero(precision[:-1] >= wanted)
    return float(thresholds[enough[0]]) if len(enough) else None


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
