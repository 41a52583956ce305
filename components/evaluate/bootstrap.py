"""Bootstrap intervals: how much each figure would move with other test images of the same kind.

All resamples are computed at once as weights, since a scikit-learn call for every resample and
class takes minutes; a test holds them equal to scikit-learn with `sample_weight`.
Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentiles).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

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
        """The middle `level` of the values of the resamples that have one."""
        values = values[np.isfinite(values)]
        if not len(values):
            return None
        tail = (1 - self.level) / 2
        return np.quantile(values, [tail, 1 - tail]).tolist()

    def mean(self, values: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
        """[R] the mean of `values` [N], or [R, C] of [N, C], over the images `among` (bool [N])."""
        weights = self.weights if among is None else self.weights[:, among]
        values = np.asarray(values if among is None else values[among], np.float32)
        return divide(weights @ values, weights.sum(axis=1).reshape(-1, *[1] * (values.ndim - 1)))

    def proportion(self, hits: np.ndarray, among: np.ndarray | None = None) -> Interval:
        """The interval of a share, such as an accuracy.

        Where every image or none is a hit all resamples agree, so Wilson's interval is taken.
        """
        inside = hits if among is None else hits[among]
        if not len(inside):
            return None
        if inside.all() or not inside.any():
            return wilson(int(inside.sum()), len(inside), self.level)
        return self.interval(self.mean(hits, among))


def intervals(predictions: Predictions, boot: Bootstrap, bins: int) -> dict[str, Interval]:
    """The interval of every figure of `metrics.measure` by its dotted name, such as
    `per_class.cat.recall`."""
    classes, labels, predicted = predictions.classes, predictions.labels, predictions.predicted
    every = np.arange(len(classes))
    is_label, is_predicted = labels[:, None] == every, predicted[:, None] == every
    hits = boot.weights @ (is_label & is_predicted).astype(np.float32)  # [R, C]
    of_label, of_predicted = (
        boot.weights @ member.astype(np.float32) for member in (is_label, is_predicted)
    )
    gaps = np.zeros((len(labels), bins), np.float32)
    gaps[np.arange(len(labels)), bin_of(predictions.confidence, bins)] = (
        predictions.correct - predictions.confidence
    )
    found = {
        "accuracy": boot.proportion(predictions.correct),
        "balanced_accuracy": boot.interval(np.nanmean(divide(hits, of_label), axis=1)),
        "log_loss": boot.interval(boot.mean(predictions.losses)),
        "calibration_error": boot.interval(np.abs(boot.mean(gaps)).sum(axis=1)),
    }
    f1 = divide(2 * hits, of_label + of_predicted)
    for index, name in enumerate(classes):
        found[f"per_class.{name}.precision"] = boot.proportion(
            is_label[:, index], is_predicted[:, index]
        )
        found[f"per_class.{name}.recall"] = boot.proportion(
            is_predicted[:, index], is_label[:, index]
        )
        perfect = (is_label[:, index] == is_predicted[:, index]).all()
        found[f"per_class.{name}.f1"] = (
            wilson(*[int(is_label[:, index].sum())] * 2, boot.level)
            if perfect
            else boot.interval(f1[:, index])
        )
    found |= _area_intervals(predictions, boot)
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


def _area_intervals(predictions: Predictions, boot: Bootstrap) -> dict[str, Interval]:
    if len(predictions.classes) > AREAS_AT_MOST:
        return {}
    areas = np.stack(
        [
            weighted_areas(
                predictions.labels == index, predictions.probabilities[:, index], boot.weights
            )
            for index in range(len(predictions.classes))
        ]
    )  # [C, 2, R]
    found = {}
    for number, figure in enumerate(("auc", "average_precision")):
        found[figure] = _area_interval(areas[:, number].mean(axis=0), boot)
        for index, name in enumerate(predictions.classes):
            found[f"per_class.{name}.{figure}"] = _area_interval(areas[index, number], boot)
    return found


def _area_interval(areas: np.ndarray, boot: Bootstrap) -> Interval:
    """None when every resample is perfect: then the images can't tell how far below 1 it is."""
    return None if np.nanmin(areas, initial=2.0) >= 1 - 1e-6 else boot.interval(areas)


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
    return [float(end) for end in binomtest(hits, images).proportion_ci(level, "wilson")]


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, not a number where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)
