"""The figures, by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from components.evaluate.metrics import (
    measure,
    most_confused,
    threshold_for_precision,
    thresholds,
)
from tests.evaluate.builders import make_predictions

# Four cats of which one is taken for a dog, two dogs of which one is taken for a cat.
LABELS = [0, 0, 0, 0, 1, 1]
PROBABILITIES = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.3, 0.7], [0.6, 0.4]]


def test_two_classes_by_hand():
    found = measure(make_predictions(LABELS, PROBABILITIES), bins=10)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["confusion_matrix"].tolist() == [[3, 1], [1, 1]]
    cat, dog = found["per_class"]["cat"], found["per_class"]["dog"]
    assert (cat["precision"], cat["recall"], cat["f1"]) == pytest.approx((3 / 4, 3 / 4, 3 / 4))
    assert (dog["precision"], dog["recall"], dog["f1"]) == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    assert (cat["images"], dog["images"]) == (4, 2)
    # Of the 8 pairs of a dog and a cat the dog is ranked above in 4 (0.7) and 3 (0.4).
    assert found["auc"] == pytest.approx(7 / 8)
    # Dogs come first and third by their probability: (1/1 + 2/3) / 2.
    assert dog["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    right = -np.log([0.9, 0.8, 0.7, 0.4, 0.7, 0.4])
    assert found["log_loss"] == pytest.approx(right.mean())


def test_agrees_with_scikit_learn_for_many_classes():
    random = np.random.default_rng(0)
    names = [f"class {number}" for number in range(7)]
    labels = np.arange(140) % 7
    probabilities = random.dirichlet(np.ones(7), 140)
    found = measure(make_predictions(list(labels), probabilities.tolist(), names), bins=10)
    assert found["log_loss"] == pytest.approx(sk.log_loss(labels, probabilities))
    assert found["auc"] == pytest.approx(sk.roc_auc_score(labels, probabilities, multi_class="ovr"))
    report = sk.classification_report(
        labels, probabilities.argmax(1), target_names=names, output_dict=True
    )
    for name in names:
        assert found["per_class"][name]["f1"] == pytest.approx(report[name]["f1-score"])


def test_a_class_that_is_never_predicted_has_precision_zero():
    found = measure(make_predictions([0, 1], [[0.9, 0.1], [0.8, 0.2]]), bins=10)
    assert found["per_class"]["dog"]["precision"] == 0
    assert found["per_class"]["dog"]["f1"] == 0


def test_certain_and_wrong_has_a_finite_loss():
    found = measure(make_predictions([0, 1], [[0.0, 1.0], [0.0, 1.0]]), bins=10)
    assert found["log_loss"] == pytest.approx(-np.log(1e-7) / 2)


def test_most_confused_leaves_out_what_is_right():
    confusion = np.array([[5, 2, 0], [0, 9, 0], [3, 0, 1]])
    assert most_confused(confusion, ["a", "b", "c"], at_most=5) == [
        {"label": "c", "predicted": "a", "images": 3},
        {"label": "a", "predicted": "b", "images": 2},
    ]


def test_threshold_finds_the_most_images_at_the_wanted_precision():
    positive = np.array([True, True, False, True, False])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    assert threshold_for_precision(positive, scores, 1.0) == 0.8
    assert threshold_for_precision(positive, scores, 0.75) == 0.6
    assert threshold_for_precision(~positive, scores, 0.9) is None


def test_thresholds_are_chosen_on_validation_and_measured_on_test():
    validation = make_predictions([0, 0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.1, 0.9]])
    test = make_predictions([0, 0, 1, 1], [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [0.2, 0.8]])
    cat = thresholds(validation, test, wanted=1.0)["cat"]
    assert cat == {"threshold": 0.6, "precision": 1 / 2, "recall": 1 / 2}
