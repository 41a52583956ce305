"""The intervals: equal to scikit-learn's weighted figures, and as wide as statistics says."""

import numpy as np
import pytest
from sklearn import metrics as sk

from components.evaluate.bootstrap import (
    Bootstrap,
    intervals,
    threshold_intervals,
    weighted_areas,
    wilson,
)
from tests.evaluate.builders import make_predictions


@pytest.fixture
def predictions():
    random = np.random.default_rng(3)
    labels = np.arange(90) % 3
    probabilities = random.dirichlet(np.ones(3), 90).round(1) + np.eye(3)[labels] * 0.3 + 0.01
    return make_predictions(list(labels), (probabilities / probabilities.sum(1)[:, None]).tolist())


def test_weighted_areas_are_those_of_scikit_learn(predictions):
    boot = Bootstrap([""] * 90, resamples=20, level=0.95, seed=1)
    positive, scores = predictions.labels == 1, predictions.probabilities[:, 1]
    assert len(np.unique(scores)) < 90  # ties are in the test
    auc, average_precision = weighted_areas(positive, scores, boot.weights)
    for row, weights in enumerate(boot.weights):
        assert auc[row] == pytest.approx(sk.roc_auc_score(positive, scores, sample_weight=weights))
        assert average_precision[row] == pytest.approx(
            sk.average_precision_score(positive, scores, sample_weight=weights)
        )


def test_a_resample_without_a_positive_image_has_no_area():
    areas = weighted_areas(np.array([True, False]), np.array([0.6, 0.4]), np.array([[0.0, 2.0]]))
    assert np.isnan(areas).all()


def test_every_figure_lies_in_its_interval(predictions):
    from components.evaluate.metrics import measure

    boot = Bootstrap([""] * 90, resamples=500, level=0.99, seed=1)
    found, known = measure(predictions, bins=5), intervals(predictions, boot, bins=5)
    for name in ("accuracy", "balanced_accuracy", "log_loss", "auc", "average_precision"):
        low, high = known[name]
        assert low < found[name] < high, name
    for name in predictions.classes:
        for figure, value in found["per_class"][name].items():
            if figure != "images":
                low, high = known[f"per_class.{name}.{figure}"]
                assert low < value < high, (name, figure)


def test_the_figures_at_a_threshold_lie_in_their_intervals(predictions):
    from components.evaluate.metrics import thresholds

    boot = Bootstrap([""] * 90, resamples=500, level=0.99, seed=1)
    found = thresholds(predictions, predictions, 0.6)
    second, third = predictions.classes[1:]
    found[third] = {"threshold": None, "precision": None, "recall": None}
    known = threshold_intervals(predictions, found, boot)
    assert not [name for name in known if third in name]
    for figure in ("precision", "recall"):
        low, high = known[f"thresholds.{second}.{figure}"]
        assert low < found[second][figure] < high


def test_width_of_the_accuracy_is_the_normal_approximation():
    boot = Bootstrap([""] * 400, resamples=2000, level=0.95, seed=1)
    low, high = boot.proportion(np.arange(400) < 300)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 400), rel=0.1)


def test_near_duplicates_count_as_one_image():
    alone = Bootstrap([""] * 200, resamples=1000, level=0.95, seed=1)
    pairs = Bootstrap([f"pair {n // 2}" for n in range(200)], resamples=1000, level=0.95, seed=1)
    hits = np.arange(200) // 2 % 4 > 0
    width = [np.ptp(boot.proportion(hits)) for boot in (alone, pairs)]
    assert width[1] == pytest.approx(width[0] * np.sqrt(2), rel=0.15)


def test_no_mistake_is_not_no_doubt():
    boot = Bootstrap([""] * 60, resamples=100, level=0.95, seed=1)
    assert boot.proportion(np.ones(60, bool)) == wilson(60, 60, 0.95)
    assert boot.proportion(np.ones(60, bool)) == pytest.approx([0.940, 1.0], abs=0.001)


def test_a_log_loss_above_one_has_an_interval():
    boot = Bootstrap([""] * 4, resamples=50, level=0.95, seed=1)
    wrong = make_predictions([0, 0, 1, 1], [[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.99, 0.01]])
    low, high = intervals(wrong, boot, bins=5)["log_loss"]
    assert 1 < low < wrong.losses.mean() < high


def test_perfect_areas_have_no_interval():
    boot = Bootstrap([""] * 4, resamples=50, level=0.95, seed=1)
    perfect = make_predictions([0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    assert intervals(perfect, boot, bins=5)["auc"] is None
