"""Every figure that follows from the predictions alone: the content of metrics.json."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from components.evaluate.bootstrap import Bootstrap, intervals, threshold_intervals
from components.evaluate.calibration import reliability
from components.evaluate.labels import probable_label_errors
from components.evaluate.metrics import measure, most_confused, thresholds
from components.evaluate.parameters import Evaluate
from components.evaluate.predictions import Predictions
from components.evaluate.slices import slices


def summarize(
    test: Predictions, validation: Predictions | None, settings: Evaluate
) -> dict[str, Any]:
    """Everything that follows from the predictions alone."""
    bins = settings.calibration_bins
    boot = None
    if settings.bootstrap_resamples:
        groups = [image.group for image in test.images]
        boot = Bootstrap(
            groups, settings.bootstrap_resamples, settings.confidence_level, settings.seed
        )
    found = measure(test, bins)
    found["intervals"] = intervals(test, boot, bins) if boot else {}
    found["most_confused"] = most_confused(found["confusion_matrix"], test.classes, at_most=10)
    found["reliability"] = reliability(test.confidence, test.correct, bins)
    if settings.wanted_precision is not None and validation is not None:
        found["thresholds"] = thresholds(validation, test, settings.wanted_precision)
        if boot:
            found["intervals"] |= threshold_intervals(test, found["thresholds"], boot)
    if settings.slices:
        found["slices"] = slices(test, boot)
    if settings.label_errors:
        found["label_errors"] = [
            {
                "path": part.images[row].path,
                "split": split,
                "label": part.classes[part.labels[row]],
                "predicted": part.classes[part.predicted[row]],
                "probability": part.confidence[row],
            }
            for split, part in (("test", test), ("validation", validation))
            if part is not None
            for row in probable_label_errors(part.probabilities, part.labels)
        ]
    return found


def plain(value: Any) -> Any:
    """JSON's own types, numbers to six digits after the point; None for what is not finite."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
