"""Which labels look wrong."""

import numpy as np

from components.evaluate.labels import probable_label_errors


def test_only_confident_contradictions_the_worst_first():
    sure = [[0.95, 0.05]] * 10 + [[0.05, 0.95]] * 10
    labels = np.repeat([0, 1], 10)
    probabilities = np.array(sure)
    probabilities[3] = [0.1, 0.9]  # a cat that looks like a dog
    probabilities[12] = [0.99, 0.01]  # a dog that looks much like a cat
    probabilities[5] = [0.45, 0.55]  # wrong, but not sure
    assert probable_label_errors(probabilities, labels).tolist() == [12, 3]


def test_planted_label_errors_are_found():
    random = np.random.default_rng(0)
    truth = random.integers(3, size=600)
    logits = np.eye(3)[truth] * 5 + random.normal(0, 1, (600, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels, wrong = truth.copy(), random.choice(600, 30, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 3
    found = probable_label_errors(probabilities, labels)
    assert len(set(found) & set(wrong)) >= 20
    assert len(set(found) - set(wrong)) <= 5
