"""Time limits of the steps: set once a step runs, told when one is stopped for it.

ClearML compares a step's limit with the time since it started; for one that still waits in a queue
there is none, and the thread that watches all steps would end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipelines.engine.pipeline import stage_of


def set_time_limits(dag: Mapping[str, Any], limits: Any) -> None:
    """Have ClearML stop those steps in time that run by now."""
    for node in list(dag.values()):
        minutes = getattr(limits, stage_of(node.name))
        if minutes and not node.timeout and node.job and node.job.is_running():
            node.job.task.reload()  # for when it started
            node.timeout = minutes * 60


def exceeded(node: Any) -> str | None:
    """Why a step was stopped, if it was for its time limit."""
    started = node.job.task.data.started
    if not (node.timeout and started and node.job.is_aborted()):
        return None
    if (datetime.now(started.tzinfo) - started).total_seconds() < node.timeout:
        return None
    name = f"run.time_limits.{stage_of(node.name)}"
    return f"it took longer than {name}={node.timeout / 60:g} minutes"
