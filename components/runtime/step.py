"""What holds for every step, whatever it does."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from components.runtime import INTERRUPTED, environment, storage
from components.runtime.schema import BadInput
from components.runtime.source import differing
from components.runtime.text import printable

if TYPE_CHECKING:
    from clearml import Task

log = logging.getLogger(__name__)

DEPENDENCIES = "dependencies"  # configuration object of a step's task: what it was planned with
BAD_INPUT = "bad input"  # status reason of a failure that trying again does not mend


@contextlib.contextmanager
def step(stage: str, code: str = "") -> Iterator[str]:
    """The frame of a step's body; yields `code`, which is empty where other packages are used.

    As a task of its own, a step first makes sure that it runs the code that it was planned with,
    and tells in its status why it failed. Offline it adds nothing.
    """
    if storage.is_local():
        yield code
        return
    from clearml import Task

    task = Task.current_task()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logging.getLogger("components").setLevel(logging.INFO)
    try:
        as_planned = _check(task, stage)
        yield code if as_planned else ""
    except KeyboardInterrupt:  # of a run on this machine, whose other processes end as well
        end_as_aborted(task)
    except BadInput as error:
        print(f"error: {printable(str(error))}")
        end_as_failed(task, BAD_INPUT, str(error))
    except Exception as error:
        traceback.print_exc()
        end_as_failed(task, "error", f"{type(error).__name__}: {error}")


def end_as_failed(task: Task, reason: str, message: str) -> NoReturn:
    """End this process, and its task as failed with a message that its page shows.

    The exit code is 0: after any other one the agent would put "exit code N" over the message,
    while from failed to completed there is no way, on the server too. Closing the task would call
    it completed for a moment, and a controller that looks then would go on with what is not there.
    """
    task.flush(wait_for_uploads=True)
    task.mark_failed(status_reason=reason, status_message=message, force=True)
    _exit(0)


def end_as_aborted(task: Task, code: int = INTERRUPTED) -> NoReturn:
    """End this process, and its task as aborted: by this reason ClearML knows a person's wish."""
    task.flush(wait_for_uploads=True)
    task.stopped(force=True, status_reason="user aborted", status_message="interrupted")
    _exit(code)


def _exit(code: int) -> NoReturn:
    """End without ClearML's exit hook, which would give the task another status."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _check(task: Task, stage: str) -> bool:
    """Be where the step was planned to be: its code, its settings; whether its packages are, too.

    The output of other versions is used in this run. As the task's dependencies then name what was
    there, no later run takes it for that of the planned versions.
    """
    planned = json.loads(task.get_configuration_object(DEPENDENCIES) or "{}")
    other = differing(planned.get("source", {}) | planned.get("frame", {}))
    if other:
        raise BadInput(
            f"{stage}: the code here is not the code that the run was planned with "
            f"({other[0]} differs); push the commit and run again"
        )
    if not planned:
        return False
    if environment.needed_by(planned["packages"]):
        environment.hold(planned["environment"], stage)
    here = {name: environment.version(name) for name in planned["packages"]}
    differ = [
        name for name, version in sorted(planned["packages"].items()) if here[name] != version
    ]
    if differ:
        words = ", ".join(f"{name} {here[name]} for {planned['packages'][name]}" for name in differ)
        log.warning("%s: not the planned packages (%s); no later run reuses this", stage, words)
        made_with = planned | {"packages": here, "python": platform.python_version()}
        task.set_configuration_object(DEPENDENCIES, config_text=json.dumps(made_with))
    return not differ
