"""The controller's own task, when an agent runs it."""

from __future__ import annotations

import os
from typing import NoReturn

from clearml import Task
from clearml.backend_api import Session

from components.runtime.step import BAD_INPUT, end_as_failed
from pipelines.engine import parameters


def task_texts() -> dict[str, str]:
    """The parameters of the task that this process runs as, by ClearML name."""
    task = Task.get_task(task_id=os.environ["CLEARML_TASK_ID"])
    return parameters.from_sections(task.get_parameters() or {})


def forget_graph() -> None:
    """Have the graph built from the code: the task of a rerun has that of the earlier run.

    ClearML drops the stages that a run never reached from it, and would not find them again.
    """
    wanted = {"task": os.environ["CLEARML_TASK_ID"], "configuration": ["Pipeline"], "force": True}
    Session().send_request("tasks", "delete_configuration", method="post", json=wanted)


def end_on_agent(error: Exception) -> NoReturn:
    """End the process, and the task that it runs as as failed with the error for a message."""
    print(f"error: {error}")
    task = Task.get_task(task_id=os.environ["CLEARML_TASK_ID"])
    end_as_failed(task, BAD_INPUT, str(error))
