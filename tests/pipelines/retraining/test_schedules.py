"""Times in words, and when ClearML's scheduler makes them due."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from clearml.automation.scheduler import ScheduleJob

from components.runtime.schema import BadInput
from pipelines.retraining import schedules

TUESDAY = datetime(2026, 11, 24, 10, 17, 30, tzinfo=timezone.utc)


def due(text: str, times: int) -> list[str]:
    """The next times, each started 5 s late, as `Tue 24 03:00`."""
    found = []
    for name, at in schedules.parse(text).items():
        job = ScheduleJob(name, base_function=print, starting_time=TUESDAY, **at)
        job.verify()
        for _ in range(times):
            moment = job.next()
            found.append(moment)
            job._schedule_counter, job._last_executed = 1, moment + timedelta(seconds=5)
    return [f"{moment:%a %d %H:%M}" for moment in sorted(found)[:times]]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("every 30 minutes", ["Tue 24 10:47", "Tue 24 11:17"]),
        ("every 6 hours", ["Tue 24 16:00", "Tue 24 22:00", "Wed 25 04:00"]),
        ("daily 03:00", ["Wed 25 03:00", "Thu 26 03:00"]),
        ("Daily 23:30", ["Tue 24 23:30", "Wed 25 23:30"]),
        ("daily 0:00", ["Wed 25 00:00", "Thu 26 00:00"]),
        ("tuesday 23:00", ["Tue 24 23:00", "Tue 01 23:00"]),
        ("tuesday 03:00", ["Tue 01 03:00", "Tue 08 03:00"]),
        # the next of the days first, not the first of the list
        ("monday thursday 03:00", ["Thu 26 03:00", "Mon 30 03:00", "Thu 03 03:00"]),
    ],
)
def test_when_it_is_due(text: str, times: list[str]) -> None:
    assert due(text, len(times)) == times


@pytest.mark.parametrize(
    "text",
    [
        "",
        "daily",
        "03:00",
        "daily 24:00",
        "daily 3:60",
        "every 0 hours",
        "every day",
        "moonday 03:00",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected 'every 30 minutes'"):
        schedules.parse(text)
