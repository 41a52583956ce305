"""How trials are ranked and shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from pipelines.sweeps import leaderboard
from pipelines.sweeps.trials import Trial


def trial(number: int, validation: float | None, test: float | None, **parameters: str) -> Trial:
    named = {name.replace("__", "."): text for name, text in parameters.items()}
    status = "failed" if validation is None and test is None else "completed"
    reason = "boom" if status == "failed" else ""
    return Trial(number, named, "/s", status, reason, validation=validation, test=test)


TRIALS = [
    trial(0, None, None, train__lr="0.1", optimizer="adam", same="1"),
    trial(1, 0.8, 0.9, train__lr="0.01", optimizer="adam", same="1"),
    trial(2, 0.85, 0.7, train__lr="0.001", optimizer="sgd", same="1"),
]


def test_the_best_is_chosen_by_validation_images_and_failures_come_last() -> None:
    assert [one.number for one in leaderboard.ranked(TRIALS)] == [2, 1, 0]
    without_training = [trial(0, None, 0.7), trial(1, None, 0.8)]
    assert [one.number for one in leaderboard.ranked(without_training)] == [1, 0]


def test_the_table_has_the_swept_parameters_and_why_a_trial_failed() -> None:
    TRIALS[2].interval = [0.65, 0.75]
    head, best, _, failed = leaderboard.text(TRIALS).splitlines()
    assert head.split("  ")[:3] == ["trial", "train.lr", "optimizer"]
    assert "same" not in head
    assert "seconds" not in head  # nothing is in that column
    assert "0.700 (0.650-0.750)" in best
    assert failed.endswith("failed: boom")


def test_the_picture_has_a_panel_for_each_swept_parameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))
    )
    assert leaderboard.draw(TRIALS, tmp_path / "picture.png")
    panels = {panel.get_xlabel(): panel for panel in drawn[0].axes}
    assert set(panels) == {"train.lr", "optimizer"}
    assert panels["train.lr"].get_xscale() == "log"
    assert [text.get_text() for text in panels["optimizer"].get_xticklabels()] == ["adam", "sgd"]
    assert not leaderboard.draw(TRIALS[:1], tmp_path / "none.png")
