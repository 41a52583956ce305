"""Probable label errors: images whose label a model confidently contradicts.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning", https://arxiv.org/abs/1911.00068
"""

from __future__ import annotations

import numpy as np

CONFIDENT = 0.8  # probability below which a contradiction is not worth a person's time


def probable_label_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows of the images that look mislabelled, the most suspicious first.

    `probabilities` [N, C] must come from a model that was not trained on these images. A class is
    claimed when its probability reaches the mean that images of that label get, and `CONFIDENT`; an
    image is suspicious when the most probable claimed class is not its label.
    """
    rows = np.arange(len(labels))
    of_label = probabilities[rows, labels]
    images = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=of_label, minlength=probabilities.shape[1])
    usual = np.where(images > 0, sums / np.maximum(images, 1), np.inf)
    claimed = np.where(probabilities >= np.maximum(usual, CONFIDENT), probabilities, -1)
    suspicious = (claimed.max(axis=1) > 0) & (claimed.argmax(axis=1) != labels)
    order = np.argsort(of_label - probabilities.max(axis=1), kind="stable")
    return order[suspicious[order]]
