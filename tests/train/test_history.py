"""The validation metrics, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from components.train.history import area_under_roc, validation_metrics


def test_metrics_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 200).round(2)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = random.integers(3, size=200)
    metrics = validation_metrics(probabilities, labels)
    auc = roc_auc_score(labels, probabilities, multi_class="ovr")
    clipped = np.clip(probabilities, 1e-7, 1)
    assert metrics["validation_auc"] == pytest.approx(auc)
    assert metrics["validation_accuracy"] == (probabilities.argmax(axis=1) == labels).mean()
    expected = log_loss(labels, clipped / clipped.sum(axis=1, keepdims=True))
    assert metrics["validation_loss"] == pytest.approx(expected, rel=1e-4)


def test_one_class_alone_has_nothing_to_be_ranked_below() -> None:
    assert area_under_roc(np.array([0.1, 0.2]), np.array([True, True])) == 1
