"""The figures, and how much each would move with other test images of the same kind.

All resamples are computed at once as weights, since a scikit-learn call for every resample and
class takes minutes; a test holds them equal to scikit-learn with `sample_weight`.
Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentiles).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from components.evaluate.calibration import bin_of
from components.evaluate.predictions import Predictions

Interval = list[float] | None  # [low, high]; None where the images can't tell
AREAS_AT_MOST = 50  # classes; beyond that the areas get no interval, to stay within seconds


class Bootstrap:
    """R resamples of N images; near-duplicates (one `group`) are drawn together or not at all."""

    def __init__(self, groups: list[str], resamples: int, level: float, seed: int):
        """`groups` [N]: the near-duplicate group of each image, empty where it stands alone."""
        names = [group or f"\0{index}" for index, group in enumerate(groups)]
        unit = np.unique(names, return_inverse=True)[1]
        count = unit.max() + 1
        draws = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=resamples)
        self.weights = draws[:, unit].astype(np.float32)  # [R, N]
        self.level = level

    def interval(self, values: np.ndarray) -> Interval:
        """The middle `level` of the values of the resamples that have one.

        None where all are perfect: then the images can't tell how far below 1 it is.
        """
        values = values[np.isfinite(values)]
        if np.allclose(values, 1, rtol=0, atol=1e-6):  # true also of no values
            return None
        tail = (1 - self.level) / 2
        return np.quantile(values, [tail, 1 - tail]).tolist()

    def proportion(self, hits: np.ndarray, among: np.ndarray | None = None) -> Interval:
        """The interval of a share, such as an accuracy.

        Where every image or none is a hit all resamples agree, so Wilson's interval is taken.
        """
        inside = hits if among is None else hits[among]
        if not len(inside):
            return None
        if inside.all() or not inside.any():
            return wilson(int(inside.sum()), len(inside), self.level)
        weights = self.weights if among is None else self.weights[:, among]
        return self.interval(divide(weights @ inside.astype(np.float32), weights.sum(axis=1)))


def figures(
    predictions: Predictions, weights: np.ndarray, bins: int, areas: bool = True
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Every figure, for each row of `weights` [R, N], which tell how often an image counts.

    The overall ones [R] and those of the classes [R, C], by name; not a number where undefined.
    """
    every = np.arange(len(predictions.classes))
    is_label = predictions.labels[:, None] == every
    is_predicted = predictions.predicted[:, None] == every
    hits, of_label, of_predicted = (
        weights @ member.astype(weights.dtype)
        for member in (is_label & is_predicted, is_label, is_predicted)
    )
    of_class = {
        "precision": divide(hits, of_predicted),
        "recall": divide(hits, of_label),
        "f1": divide(2 * hits, of_label + of_predicted),
    }
    gaps = np.zeros((len(predictions), bins), weights.dtype)
    gaps[np.arange(len(predictions)), bin_of(predictions.confidence, bins)] = (
        predictions.correct - predictions.confidence
    )
    images = weights.sum(axis=1)
    overall = {
        "accuracy": hits.sum(axis=1) / images,
        "balanced_accuracy": np.nanmean(of_class["recall"], axis=1),
        "log_loss": weights @ predictions.losses.astype(weights.dtype) / images,
        "calibration_error": np.abs(weights @ gaps / images[:, None]).sum(axis=1),
    }
    if areas:
        scores = predictions.probabilities
        both = [weighted_areas(is_label[:, i], scores[:, i], weights) for i in every]
        of_area = dict(zip(("auc", "average_precision"), np.stack(both, axis=-1), strict=True))
        overall |= {name: values.mean(axis=1) for name, values in of_area.items()}
        of_class |= of_area
    return overall, of_class


def intervals(predictions: Predictions, boot: Bootstrap, bins: int) -> dict[str, Interval]:
    """The interval of every figure by its dotted name, such as `per_class.cat.recall`."""
    areas = len(predictions.classes) <= AREAS_AT_MOST
    overall, of_class = figures(predictions, boot.weights, bins, areas)
    found = {figure: boot.interval(values) for figure, values in overall.items()}
    found["accuracy"] = boot.proportion(predictions.correct)
    for index, name in enumerate(predictions.classes):
        labelled, called = predictions.labels == index, predictions.predicted == index
        own = {figure: boot.interval(values[:, index]) for figure, values in of_class.items()}
        own["precision"] = boot.proportion(labelled, called)
        own["recall"] = boot.proportion(called, labelled)
        if (labelled == called).all():
            own["f1"] = wilson(int(labelled.sum()), int(labelled.sum()), boot.level)
        found |= {f"per_class.{name}.{figure}": ends for figure, ends in own.items()}
    return found


def threshold_intervals(
    predictions: Predictions, thresholds: dict[str, dict[str, float | None]], boot: Bootstrap
) -> dict[str, Interval]:
    """The intervals of `metrics.thresholds`, such as `thresholds.cat.recall`."""
    found = {}
    for index, name in enumerate(predictions.classes):
        if (threshold := thresholds[name]["threshold"]) is not None:
            chosen = predictions.probabilities[:, index] >= threshold
            labelled = predictions.labels == index
            found[f"thresholds.{name}.precision"] = boot.proportion(labelled, chosen)
            found[f"thresholds.{name}.recall"] = boot.proportion(chosen, labelled)
    return found


def weighted_areas(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[2, R] area under ROC and average precision for each row of `weights` [R, N].

    Both are sums over the positive images: of the share of negatives ranked below it (tied ones
    count half), and of the precision at its score. Not a number without a positive or a negative.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, rank = weights[:, order], -scores[order]
    place = np.flatnonzero(positive[order])  # [P]
    of_positive = ordered[:, place].astype(np.float64)
    above, to = _around(ordered, rank, rank[place])
    true_above, true_to = _around(ordered[:, place], rank[place], rank[place])
    total = of_positive.sum(axis=1)
    negative = ordered.sum(axis=1) - total
    below = negative[:, None] - (above - true_above + to - true_to) / 2
    auc = divide((of_positive * below).sum(axis=1), total * negative)
    precision = np.nan_to_num(divide(true_to, to))
    return np.stack([auc, divide((of_positive * precision).sum(axis=1), total)])


def _around(weights: np.ndarray, rank: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[R, P] each: the weight of the images ranked before `at` [P], and of those up to it."""
    sums = np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))
    return sums[:, np.searchsorted(rank, at)], sums[:, np.searchsorted(rank, at, side="right")]


def wilson(hits: int, images: int, level: float) -> list[float]:
    """Wilson's score interval of a proportion (Wilson 1927): sensible at 0 and at 1."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = hits / images, z * z / images
    half = z * math.sqrt(share * (1 - share) / images + spread / images / 4)
    ends = ((share + spread / 2 + side * half) / (1 + spread) for side in (-1, 1))
    return [min(1.0, max(0.0, end)) for end in ends]


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, not a number where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)
