"""Times in words, as ClearML's `TaskScheduler` takes them; always UTC.

`every 30 minutes`, `every 6 hours`, `daily 03:00`, `monday thursday 03:00`.
"""

from __future__ import annotations

import re
from typing import Any

from components.runtime.schema import BadInput

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FORMS = "expected 'every 30 minutes', 'every 6 hours', 'daily 03:00' or 'monday thursday 03:00'"


def parse(text: str) -> dict[str, dict[str, Any]]:
    """The jobs that a text asks for: arguments of `TaskScheduler.add_task` by name.

    One job for each weekday: a job with several begins with the first of its list, be it days
    after the next one (ClearML 2.1.12).
    """
    words = text.lower().split()
    period = re.fullmatch(r"every ([1-9]\d{0,3}) (minute|hour)s?", " ".join(words))
    if period:
        return {text: {period[2]: int(period[1])}}
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", words[-1]) if words else None
    if clock:
        at = {"day": 1, "hour": int(clock[1]), "minute": int(clock[2])}
        days = words[:-1]
        if days == ["daily"]:
            return {text: at}
        if days and set(days) <= set(WEEKDAYS):
            return {f"{day} {clock[0]}": at | {"weekdays": [day]} for day in dict.fromkeys(days)}
    raise BadInput(f"schedule={text}: {FORMS}")
