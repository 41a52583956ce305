"""Time limits: for steps that run, not for those that wait."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from pipelines.engine.time_limits import exceeded, set_time_limits

LIMITS = SimpleNamespace(ingest=None, preprocess=2.0, train=1.0, evaluate=None)


def step(name: str, status: str, minutes_ago: float | None = None) -> Any:
    """A step as ClearML keeps it, started so long ago."""
    now = datetime.now(timezone.utc)
    started = now - timedelta(minutes=minutes_ago) if minutes_ago is not None else None
    task = SimpleNamespace(data=SimpleNamespace(started=started), reload=lambda: None)
    job = SimpleNamespace(
        task=task,
        is_running=lambda: status == "in_progress",
        is_aborted=lambda: status == "stopped",
    )
    return SimpleNamespace(name=name, job=job if status else None, timeout=None)


def test_a_step_gets_its_limit_once_it_runs() -> None:
    """ClearML's watch over all steps ends in an error at one with a limit that waits in a queue."""
    steps = [
        step("train", "queued"),
        step("preprocess_part_1", "in_progress", 0),
        step("ingest", "in_progress", 0),
        step("evaluate", ""),
    ]
    set_time_limits({one.name: one for one in steps}, LIMITS)
    assert [one.timeout for one in steps] == [None, 120.0, None, None]


def test_a_step_that_was_stopped_for_its_limit_is_told_from_one_that_a_person_stopped() -> None:
    late, aborted, done = (
        step("train", "stopped", 1.1), step("train", "stopped", 0.5), step("train", "completed", 9),
    )  # fmt: skip
    for one in (late, aborted, done):
        one.timeout = 60.0
    assert exceeded(late) == "it took longer than run.time_limits.train=1 minutes"
    assert exceeded(aborted) is None
    assert exceeded(done) is None
    assert exceeded(step("ingest", "stopped")) is None
