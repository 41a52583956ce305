"""The ways to run the pipeline: offline in this process, or its steps as ClearML tasks."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from components.runtime.schema import BadInput
from components.runtime.source import ROOT
from pipelines.engine import fingerprint, parameters
from pipelines.engine.command import use_sdk_settings
from pipelines.engine.parameters import Config, Run
from pipelines.sweeps.trials import keep_task

_PLAIN_TASK = dict(
    task_type="controller",
    auto_connect_arg_parser=False,
    auto_resource_monitoring=False,
    reuse_last_task_id=False,
)


class _WithoutClearML(io.TextIOBase):
    """Passes text on but for ClearML's own lines, which offline say nothing that helps."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.line = ""

    def write(self, text: str) -> int:
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            if not line.startswith("ClearML "):
                self.stream.write(f"{line}\n")
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


def run(config: Config, folder: Path) -> float | None:
    """Run the pipeline; returns the test accuracy, or None when nothing was evaluated here."""
    use_sdk_settings()
    fingerprint.read_sources(parameters.STAGES)
    modes: dict[str, Callable] = {"offline": _offline, "local": _local, "queue": _queue}
    return modes[config.run.mode](config, folder)


def _offline(config: Config, folder: Path) -> float | None:
    """The steps as functions in this process, without a server; unchanged stages are reused."""
    os.environ.setdefault("CLEARML_LOG_LEVEL", "ERROR")
    from pipelines.engine.offline import OfflineSteps

    steps = OfflineSteps(config, folder)  # before the components are imported, as they ask where
    # ClearML keeps a copy of each offline session, which nobody looks for: not in the user's home.
    os.environ["CLEARML_CACHE_DIR"] = str(steps.store.temporary / f"{os.getpid()}-clearml")
    from clearml import PipelineDecorator, Task

    from pipelines.dag import NAME, connect, pipeline

    if config.run.plan:
        connect(steps.plan, config)
        return None
    Task.set_offline(True)
    PipelineDecorator.debug_pipeline()
    with contextlib.redirect_stdout(_WithoutClearML(sys.stdout)):
        # Ahead of the pipeline, which would turn automatic logging on.
        task = Task.init(config.run.project, NAME, auto_connect_frameworks=False, **_PLAIN_TASK)
        try:
            pipeline(config, lambda _: steps)(**parameters.texts_of(config))
        finally:
            task.close()
            shutil.rmtree(os.environ["CLEARML_CACHE_DIR"], ignore_errors=True)
    return steps.accuracy


def _local(config: Config, folder: Path) -> float | None:
    """The controller in this process, each step as a task in a subprocess."""
    from pipelines.engine import server

    _enter_root()
    server.check_connection()
    server.check_source(config)
    if config.run.plan:
        return server.plan(config, folder)
    from clearml import PipelineDecorator

    PipelineDecorator.run_locally()
    try:
        return server.run_controller(config, folder)
    except (BadInput, server.StepFailed) as error:
        server.mark_failed(error)
        if isinstance(error, BadInput):
            raise
        sys.exit(f"error: {error}")


def _queue(config: Config, folder: Path) -> None:
    """Create the controller's task and enqueue it; an agent calls `on_agent`."""
    from pipelines.engine import enqueue, server

    _enter_root()
    server.check_connection()
    server.check_source(config)
    if config.run.plan:
        return server.plan(config, folder)
    keep_task(enqueue.submit(config), folder)


def rerun(base: str, config: Config, changed: set[str], folder: Path) -> None:
    """Enqueue an earlier run again, with the changed parameters."""
    if config.run.mode != "queue":
        raise BadInput(f"rerun={base}: needs run=queue")
    use_sdk_settings()
    from pipelines.engine import enqueue, server

    server.check_connection()
    keep_task(enqueue.resubmit(base, config, changed), folder)


def preflight(run: Run) -> None:
    """`BadInput` for what would refuse every trial of a sweep; the server alone is asked."""
    if run.mode == "offline":
        return
    use_sdk_settings()
    from pipelines.engine import enqueue, server

    server.check_connection()
    if run.mode == "queue" and not run.plan:
        enqueue.check(run)


def on_agent(composed: dict[str, str], folder: Path) -> float | None:
    """Run as the controller's task: its parameters, which a person may have edited, win."""
    use_sdk_settings()
    fingerprint.read_sources(parameters.STAGES)
    from pipelines.engine import controller, server

    try:
        config = parameters.read(composed | controller.task_texts())
        controller.forget_graph()
        return server.run_controller(config, folder)
    except (BadInput, server.StepFailed) as error:
        controller.end_on_agent(error)


def _enter_root() -> None:
    """Steps attach the repository and import its packages from the working directory."""
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
