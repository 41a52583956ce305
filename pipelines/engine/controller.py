"""The controller: the pipeline as ClearML has it, and its task when an agent runs it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from clearml import PipelineDecorator, Task
from clearml.backend_api import Session

from components.runtime.schema import BadInput
from components.runtime.step import BAD_INPUT, end_as_failed
from pipelines.engine.parameters import ADVANCED, from_sections
from pipelines.engine.pipeline import Pipeline, stage_of
from pipelines.engine.steps import StepFailed, Steps

REQUIREMENTS = Path(__file__).with_name("requirements.txt")  # of a controller


def clearml_pipeline(
    pipeline: Pipeline, config: Any, make_steps: Callable[[Any], Steps]
) -> Callable[..., Any]:
    """The pipeline as ClearML's decorators want it; `make_steps` says how a component is called."""
    _analyse_nothing()
    first = next(iter(pipeline.stages))
    for stage in pipeline.stages.values():
        _ = stage.component  # ClearML knows of a component once it is imported

    def may_retry(_: Any, node: Any, retries: int) -> bool:
        if node.job.task.data.status_reason == BAD_INPUT:
            return False
        return retries < getattr(config.run.retries, stage_of(node.name))

    @PipelineDecorator.pipeline(
        name=pipeline.name,
        project=config.run.project,
        version=pipeline.version,
        default_queue=getattr(config.run.queues, first),  # until each step has its own
        args_map={ADVANCED: pipeline.parameters.advanced_names()},
        retry_on_failure=may_retry,
    )
    def run(**texts: str) -> None:
        try:
            make_steps(pipeline.parameters.read(texts)).run_all()
        except (BadInput, StepFailed) as error:
            if not Task.running_locally():  # before ClearML marks the run as failed, without a word
                end_on_agent(error)
            raise

    return run


def plain_task(project: str, name: str, kind: str, streams: bool = True) -> Task:
    """A task of this process that records nothing by itself but, with `streams`, what it prints."""
    _analyse_nothing()
    return Task.init(
        project,
        name,
        task_type=kind,
        reuse_last_task_id=False,
        auto_connect_arg_parser=False,
        auto_connect_frameworks=False,
        auto_connect_streams=streams,
        auto_resource_monitoring=False,
    )


def _analyse_nothing() -> None:
    """Tell ClearML what to install, which it would find out by parsing all code in a thread.

    CPython 3.11.7 can't parse in two threads at once: "AST constructor recursion depth mismatch".
    """
    Task.force_requirements_env_freeze(requirements_file=str(REQUIREMENTS))


def task_texts() -> dict[str, str]:
    """The parameters of the task that this process runs as, by ClearML name."""
    task = Task.get_task(task_id=os.environ["CLEARML_TASK_ID"])
    return from_sections(task.get_parameters() or {})


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
