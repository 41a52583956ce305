"""Who is promoted, who stays, and how often by mistake."""

import numpy as np
import pytest

from components.evaluate.gate import compare, refuse_overlap
from components.runtime.schema import BadInput


def pair(both: int, champion: int, challenger: int, neither: int = 0):
    """Which images each is right on, from the four counts."""
    counts = [both, champion, challenger, neither]
    return (
        np.repeat([True, True, False, False], counts),
        np.repeat([True, False, True, False], counts),
    )


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((50, 0, 10), "promote"),
        ((50, 10, 0), "keep"),
        ((50, 5, 6), "tie"),
        ((60, 0, 0), "tie"),
        ((50, 0, 4), "tie"),  # 1/16 > 0.05
        ((50, 0, 5), "promote"),  # 1/32
        ((0, 0, 1), "tie"),
        ((1, 0, 0), "tie"),
        ((0, 0, 0, 7), "tie"),
    ],
)
def test_verdict(counts, verdict):
    decision = compare(*pair(*counts))
    assert decision.verdict == verdict
    assert decision.reason.startswith(verdict)
    assert "\n" not in decision.reason


def test_numbers():
    decision = compare(*pair(70, 2, 12, 16))
    assert (decision.champion_accuracy, decision.challenger_accuracy) == (0.72, 0.82)
    assert decision.difference == pytest.approx(0.10)
    assert decision.interval == pytest.approx([0.03, 0.17], abs=0.015)
    # P(12 or more of 14 heads) = (91 + 14 + 1) / 2**14
    assert decision.p_value == pytest.approx(106 / 2**14)


def test_the_higher_the_confidence_the_harder():
    assert compare(*pair(50, 0, 5), confidence=0.95).verdict == "promote"
    assert compare(*pair(50, 0, 5), confidence=0.99).verdict == "tie"


def test_false_promotions_are_as_rare_as_promised():
    """Equally good models that differ on 10 % of 500 images: measured 3.7 %, promised 5 %."""
    random = np.random.default_rng(0)
    kinds = random.choice(3, p=[0.05, 0.05, 0.9], size=(1500, 500))
    verdicts = [compare(row == 0, row == 1).verdict for row in kinds]
    assert 0.02 < verdicts.count("promote") / 1500 <= 0.05
    assert 0.02 < verdicts.count("keep") / 1500 <= 0.05


def test_needs_the_same_images():
    with pytest.raises(ValueError, match="same images"):
        compare(np.ones(3, bool), np.ones(4, bool))


def test_a_champion_that_knows_the_test_images_is_refused():
    refuse_overlap(["a", "b"], ["c"], "old")
    with pytest.raises(BadInput, match=r"old was trained on 1 of the 2 test images"):
        refuse_overlap(["a", "b"], ["b", "c"], "old")
