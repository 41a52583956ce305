"""Runs that want the same step at the same time take turns, so that it is computed once.

Offline a lock on a file is enough (`components.runtime.locks`). On a server a run first announces
on its own task what it is about to compute, then looks who else computes the same: runs that
announced it earlier, and steps of that fingerprint that are queued or running. It waits while one
of them shows signs of life.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.engine.fingerprint import Dependencies

if TYPE_CHECKING:
    from clearml import Task

log = logging.getLogger(__name__)

PROPERTY = "computes"  # user property of a controller: fingerprint, time and id of the task
SETTLE_SECONDS = 0.3  # in which an earlier announcement reaches the server
SILENT_SECONDS = 120  # a running task tells the server every 30 s that it lives


@contextlib.contextmanager
def announced(controller: Task, wanted: Dependencies, poll: float) -> Iterator[None]:
    """Wait until no other run computes the same step, announcing that this one wants it."""
    mine = Announcement(wanted.fingerprint, f"{time.time():.3f}", controller.id)
    controller.set_user_properties(**{PROPERTY: str(mine)})
    time.sleep(SETTLE_SECONDS)
    try:
        _wait(mine, wanted, controller.project, poll)
        yield
    finally:
        controller.set_user_properties(**{PROPERTY: "nothing"})


class Announcement(NamedTuple):
    """That a run is about to compute a step; of two, the smaller one goes first."""

    fingerprint: str
    time: str  # seconds since 1970, all with as many digits
    task: str  # a clone of a run keeps its text, but not its id

    def __str__(self) -> str:
        return " ".join(self)

    @classmethod
    def of(cls, task: dict[str, Any]) -> Announcement | None:
        """What a controller announces, if anything."""
        parts = values_of(task, "properties").get(PROPERTY, "").split()
        return cls(*parts) if len(parts) == 3 and parts[2] == task["id"] else None


def _wait(mine: Announcement, wanted: Dependencies, project: str, poll: float) -> None:
    """Return when nobody who goes first shows signs of life any more."""
    signs: dict[str, tuple[Any, float]] = {}  # by task: its last update, and when we saw it
    told: set[str] = set()
    while True:
        alive = []
        for task in _others(mine, wanted, project):
            if _lives(task, signs):
                alive.append(task)
            elif f"silent {task['id']}" not in told:
                told.add(f"silent {task['id']}")
                log.info("%-10s does not wait for %s: no sign of life", wanted.stage, task["id"])
        if not alive:
            return
        if alive[0]["id"] not in told:
            told.add(alive[0]["id"])
            kind = "step" if alive[0]["name"] == wanted.stage else "run"
            log.info("%-10s waits: %s %s computes the same now", wanted.stage, kind, alive[0]["id"])
        time.sleep(poll)


def _others(mine: Announcement, wanted: Dependencies, project: str) -> list[dict[str, Any]]:
    """The tasks that go first: earlier announcements, and steps queued or running."""
    from clearml import Task
    from clearml.backend_interface.session import SendError

    computing = {
        "project": [project],
        "status": ["queued", "in_progress"],
        "search_hidden": True,
        "_any_": {
            "fields": [
                f"hyperparams.properties.{PROPERTY}.value",
                "hyperparams.kwargs.fingerprint.value",
            ],
            "pattern": wanted.fingerprint,
        },
    }
    fields = ["name", "status", "parent", "hyperparams", "last_update", "execution.queue"]
    try:
        found = Task.query_tasks(task_filter=computing, additional_return_fields=fields)
    except (SendError, ValueError) as error:
        log.warning("not waiting for other runs: the server does not list them (%s)", error)
        return []
    others = []
    for task in found:
        if mine.task in (task["id"], task["parent"]):
            continue
        arguments = values_of(task, "kwargs")
        if task["name"] == wanted.stage and arguments.get("fingerprint") == wanted.fingerprint:
            # not a clone that a person or an optimizer edited
            goes_first = all(
                arguments.get(name, text) == text for name, text in wanted.parameters.items()
            )
        else:
            other = Announcement.of(task)
            goes_first = (
                str(task["status"]) == "in_progress"
                and other is not None
                and other.fingerprint == mine.fingerprint
                and other < mine
            )
        if goes_first:
            others.append(task)
    return others


def _lives(task: dict[str, Any], signs: dict[str, tuple[Any, float]]) -> bool:
    """Whether a queued task has a worker, or a running one told the server something lately."""
    if str(task["status"]) == "queued":
        return _is_served((task.get("execution") or {}).get("queue"))
    update, now = task["last_update"], time.monotonic()
    if task["id"] not in signs:
        age = time.time() - update.timestamp() if hasattr(update, "timestamp") else 0.0
        signs[task["id"]] = (update, now - max(0.0, age))
    elif signs[task["id"]][0] != update:
        signs[task["id"]] = (update, now)
    return now - signs[task["id"]][1] < SILENT_SECONDS


def _is_served(queue: str | None) -> bool:
    """Whether a live worker takes tasks from the queue of that id."""
    from clearml.backend_api.session.client import APIClient

    workers = APIClient().workers.get_all(last_seen=600)
    return any(one.id == queue for worker in workers for one in worker.queues or [])


def values_of(task: dict[str, Any], section: str) -> dict[str, str]:
    """Name -> value of a section of a task's parameters."""
    found = (task.get("hyperparams") or {}).get(section) or {}
    return {
        name: str(item["value"] if isinstance(item, dict) else item.value)
        for name, item in found.items()
    }
