"""The ways to run the pipeline: offline in this process, or its steps as ClearML tasks."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from components.files import read_json
from components.schema import BadInput
from components.source import ROOT
from pipelines import cache, parameters
from pipelines.commands import use_sdk_settings
from pipelines.parameters import Config

log = logging.getLogger(__name__)

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
    cache.read_sources(parameters.STAGES)
    modes: dict[str, Callable] = {"offline": _offline, "local": _local, "queue": _queue}
    return modes[config.run.mode](config, folder)


def _offline(config: Config, folder: Path) -> float | None:
    """The steps as functions in this process, without a server; unchanged stages are reused."""
    os.environ.setdefault("CLEARML_LOG_LEVEL", "ERROR")
    from pipelines.offline import OfflineSteps

    steps = OfflineSteps(config, folder)  # before the components are imported, as they ask where
    from clearml import PipelineDecorator, Task

    from pipelines.dag import NAME, connect, pipeline

    if config.run.plan:
        connect(steps.plan, config)
        return None
    Task.set_offline(True)
    PipelineDecorator.debug_pipeline()
    with contextlib.redirect_stdout(_WithoutClearML(sys.stdout)):
        # Ahead of the pipeline, which would turn automatic logging on.
        Task.init(config.run.project, NAME, auto_connect_frameworks=False, **_PLAIN_TASK)
        pipeline(config, lambda _: steps)(**parameters.texts_of(config))
    return steps.accuracy


def _local(config: Config, folder: Path) -> float | None:
    """The controller in this process, each step as a task in a subprocess."""
    from pipelines import server

    _enter_root()
    server.check_connection()
    server.check_source(config)
    if config.run.plan:
        return server.plan(config, folder)
    from clearml import PipelineDecorator

    PipelineDecorator.run_locally()
    try:
        return server.run_controller(config, folder)
    except server.StepFailed as error:
        sys.exit(f"error: {error}")


def _queue(config: Config, folder: Path) -> None:
    """Create the controller's task and enqueue it; an agent calls `on_agent`."""
    from pipelines import enqueue, server

    _enter_root()
    server.check_connection()
    server.check_source(config)
    if config.run.plan:
        return server.plan(config, folder)
    enqueue.submit(config)


def rerun(base: str, config: Config, changed: set[str]) -> None:
    """Enqueue an earlier run again, with the changed parameters."""
    if config.run.mode != "queue":
        raise BadInput(f"rerun={base}: needs run=queue")
    use_sdk_settings()
    from pipelines import enqueue, server

    server.check_connection()
    enqueue.resubmit(base, config, changed)


def on_agent(composed: dict[str, str], folder: Path) -> float | None:
    """Run as the controller's task: its parameters, which a person may have edited, win."""
    use_sdk_settings()
    cache.read_sources(parameters.STAGES)
    from pipelines import agent, server

    try:
        config = parameters.read(composed | agent.task_texts())
        agent.forget_graph()
        return server.run_controller(config, folder)
    except (BadInput, server.StepFailed) as error:
        agent.end_on_agent(error)


def _enter_root() -> None:
    """Steps attach the repository and import its packages from the working directory."""
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    )


def trial(overrides: list[str], folder: Path) -> float | None:
    """A trial of a sweep, in a process of its own: ClearML holds one pipeline a process.

    Returns its test accuracy; None when it failed, which does not end the others.
    """
    entry = Path(__file__).parent / "pets_pipeline.py"
    done = subprocess.run(
        [sys.executable, entry, *overrides, f"hydra.run.dir='{folder}'"], check=False
    )
    metrics = folder / "metrics.json"
    if done.returncode or not metrics.exists():
        log.warning("trial %s made no evaluation (exit code %d)", folder.name, done.returncode)
        return None
    return read_json(metrics)["accuracy"]
