"""What follows from each threshold on a class's probability.

A few lines instead of scikit-learn, whose import takes longer than all else of an evaluation.
"""

from __future__ import annotations

import numpy as np


def by_threshold(
    positive: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores, the highest first, and how many positive and negative images reach each.

    `positive` [N] bool, `scores` [N].
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    true = np.cumsum(positive[order])[ends]
    return scores[order][ends], true, ends + 1 - true


def roc_curve(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates, both from 0 to 1."""
    _, true, false = by_threshold(positive, scores)
    return tuple(np.append(0, counts) / max(counts[-1], 1) for counts in (false, true))


def precision_recall_curve(
    positive: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall, from the lowest threshold to none that any image reaches."""
    _, true, false = by_threshold(positive, scores)
    precision, recall = true / (true + false), true / max(true[-1], 1)
    return np.append(precision[::-1], 1), np.append(recall[::-1], 0)
