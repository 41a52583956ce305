"""The ways to run the pipeline: offline in this process, or its steps as ClearML tasks."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from components.runtime.schema import BadInput
from components.runtime.source import ROOT
from pipelines.engine import fingerprint
from pipelines.engine.command import tell_interruption, use_sdk_settings
from pipelines.engine.parameters import Run, dotted
from pipelines.engine.pipeline import Pipeline
from pipelines.engine.run_records import keep_task

log = logging.getLogger(__name__)


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


def run(pipeline: Pipeline, config: Any, folder: Path) -> float | None:
    """Run the pipeline; returns its objective, or None when nothing was evaluated here."""
    use_sdk_settings()
    fingerprint.read_sources(pipeline.stages)
    if config.run.mode == "offline":
        return _offline(pipeline, config, folder)
    # Steps attach the repository and import its packages from the working directory.
    os.chdir(ROOT)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    from pipelines.engine import server

    server.check_connection()
    server.check_sources(pipeline, config)  # before anything is created there
    if config.run.plan:
        return server.ServerSteps(pipeline, config, folder).plan()
    if config.run.mode == "local":
        return _local(pipeline, config, folder)
    from pipelines.engine import enqueue

    return keep_task(enqueue.submit(pipeline, config), folder)  # an agent calls `on_agent`


def _offline(pipeline: Pipeline, config: Any, folder: Path) -> float | None:
    """The steps as functions in this process, without a server; unchanged stages are reused."""
    os.environ.setdefault("CLEARML_LOG_LEVEL", "ERROR")
    from pipelines.engine.offline import OfflineSteps

    steps = OfflineSteps(pipeline, config, folder)  # ahead of the components, which ask where
    if config.run.plan:
        return steps.plan()
    # ClearML keeps a copy of each offline session, which nobody looks for: not in the user's home.
    with steps.local.workspace() as session:
        os.environ["CLEARML_CACHE_DIR"] = str(session)
        from clearml import PipelineDecorator, Task

        from pipelines.engine.controller import clearml_pipeline, plain_task

        Task.set_offline(True)
        PipelineDecorator.debug_pipeline()
        with contextlib.redirect_stdout(_WithoutClearML(sys.stdout)):
            # Ahead of the pipeline, which would turn automatic logging on.
            task = plain_task(config.run.project, pipeline.name, "controller")
            try:
                texts = pipeline.parameters.texts_of(config)
                clearml_pipeline(pipeline, config, lambda _: steps)(**texts)
            finally:
                task.close()
    return steps.result.get(pipeline.objective)


def _local(pipeline: Pipeline, config: Any, folder: Path) -> float | None:
    """The controller in this process, each step as a task in a subprocess."""
    from clearml import PipelineDecorator

    from pipelines.engine import server

    PipelineDecorator.run_locally()
    try:
        return server.run_controller(pipeline, config, folder)
    except KeyboardInterrupt as error:
        server.abort(tell_interruption(error))
    except (BadInput, server.StepFailed) as error:
        server.mark_failed(error)
        if isinstance(error, BadInput):
            raise
        sys.exit(f"error: {error}")


def rerun(pipeline: Pipeline, base: str, config: Any, changed: set[str], folder: Path) -> None:
    """Enqueue an earlier run again, with the changed parameters."""
    if config.run.mode != "queue":
        raise BadInput(f"rerun={base}: needs run=queue")
    use_sdk_settings()
    from pipelines.engine import enqueue, server

    server.check_connection()
    keep_task(enqueue.resubmit(pipeline, base, config, changed), folder)


def preflight(pipeline: Pipeline, run: Run) -> None:
    """`BadInput` for what would refuse every trial of a sweep; the server alone is asked."""
    if run.mode == "offline":
        return
    use_sdk_settings()
    from pipelines.engine import enqueue, server

    server.check_connection()
    if run.mode == "queue" and not run.plan:
        enqueue.check(pipeline, run)


def on_agent(pipeline: Pipeline, composed: dict[str, str], folder: Path) -> float | None:
    """Run as the controller's task: its parameters, which a person may have edited, win."""
    use_sdk_settings()
    fingerprint.read_sources(pipeline.stages)
    from pipelines.engine import controller, server

    parameters = pipeline.parameters
    try:
        config = parameters.read(texts := composed | controller.task_texts())
        usual = parameters.defaults().items()
        edited = [name for name in texts if (name, texts[name]) not in usual]
        for told in parameters.check_effect(config, dotted(dict.fromkeys(edited)), strict=False):
            log.warning(told)
        controller.forget_graph()
        return server.run_controller(pipeline, config, folder)
    except (BadInput, server.StepFailed) as error:
        controller.end_on_agent(error)
