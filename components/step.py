"""What holds for every step, whatever it does."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from components import storage
from components.schema import BadInput
from components.source import differing

if TYPE_CHECKING:
    from clearml import Task

DEPENDENCIES = "dependencies"  # configuration object of a step's task: what it was planned with


@contextlib.contextmanager
def step(stage: str, arguments: Mapping[str, str]) -> Iterator[None]:
    """The frame of a step's body.

    As a task of its own, a step first makes sure that it runs the code and the arguments it was
    planned with, and tells a mistake in one line as the task's status. Offline it adds nothing.
    """
    if storage.is_local():
        yield
        return
    from clearml import Task

    task = Task.current_task()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logging.getLogger("components").setLevel(logging.INFO)
    try:
        _check(task, stage)
        yield
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        task.mark_failed(status_reason=str(error), status_message=str(error), force=True)
        sys.exit(2)


def _check(task: Task, stage: str) -> None:
    planned = json.loads(task.get_configuration_object(DEPENDENCIES) or "{}")
    other = differing(planned.get("source", {}))
    if other:
        raise BadInput(
            f"{stage}: the code here is not the code that the run was planned with "
            f"({other[0]} differs); push the commit and run again"
        )
