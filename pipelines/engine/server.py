"""Steps as tasks of a ClearML server: on this machine or on the agents of their queues."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import requests
from clearml import PipelineDecorator, Task
from clearml.automation.job import ClearmlJob, LocalClearmlJob
from clearml.backend_api import Session
from clearml.backend_api.session.defs import ENV_HOST, MissingConfigError
from clearml.backend_api.session.session import LoginError
from clearml.backend_interface.session import SendError
from clearml.config import config_obj

from components.runtime import reporting
from components.runtime.files import copy
from components.runtime.schema import BadInput
from components.runtime.step import BAD_INPUT, DEPENDENCIES, end_as_aborted
from components.runtime.stores import MODEL, steps_project
from components.runtime.stores.server_store import ServerStore
from pipelines.engine import single_flight
from pipelines.engine.controller import clearml_pipeline
from pipelines.engine.fingerprint import Dependencies, Record, reasons
from pipelines.engine.parts import COUNT, make_parts
from pipelines.engine.pipeline import Pipeline, Stage
from pipelines.engine.run_records import keep_task, page_of
from pipelines.engine.steps import PAGE, StepFailed, Steps
from pipelines.engine.time_limits import exceeded, set_time_limits

log = logging.getLogger(__name__)

STOPPING_SECONDS = 60  # an agent takes up to 10 s to end the process of an aborted task
ARGUMENTS = "arguments"  # beside a step's dependencies: what it was called with
NEAREST = 50  # how many earlier steps are compared to say why one runs


def check_connection() -> None:
    """`BadInput` unless there are credentials, and a server that answers and takes them."""
    remedy = "run clearml-init, or set CLEARML_CONFIG_FILE"
    if not (ENV_HOST.get() or config_obj.get("api.api_server", None)):
        raise BadInput(
            f"no ClearML server is configured here: {remedy} to a clearml.conf; "
            "without a server, leave run=offline"
        )
    host = Session.get_api_server_host()
    try:
        requests.get(f"{host}/debug.ping", timeout=10)
    except requests.RequestException:
        raise BadInput(f"the ClearML server {host} does not answer; {remedy}") from None
    try:
        Session()
    except MissingConfigError:
        raise BadInput(f"no credentials for the ClearML server {host}; {remedy}") from None
    except (LoginError, ValueError):
        raise BadInput(f"the ClearML server {host} takes no such login; {remedy}") from None


def check_sources(pipeline: Pipeline, config: Any) -> None:
    """`BadInput` for what a stage reads that is not there, before anything is created."""
    store = ServerStore(config.run.project)
    for stage in pipeline.stages.values():
        if stage.name in config.run.stages:
            stage.outside(stage.settings(config), store)


def run_controller(pipeline: Pipeline, config: Any, folder: Path) -> float | None:
    """Run the pipeline as its controller; returns its objective.

    Raises `BadInput` and `StepFailed`, which the caller tells the task of this process.
    """
    made: list[ServerSteps] = []

    def make_steps(settings: Any) -> ServerSteps:
        made.append(ServerSteps(pipeline, settings, folder))
        made[0].prepare()
        keep_task(made[0].controller, folder)
        return made[0]

    clearml_pipeline(pipeline, config, make_steps)(**pipeline.parameters.texts_of(config))
    return made[0].result.get(pipeline.objective)


def _own_controller() -> Task | None:
    """The task of this process's controller, if it came to be."""
    # Not `Task.current_task()`: ClearML has closed it by now, with a message of its own.
    pipeline = PipelineDecorator.get_current_pipeline()
    return Task.get_task(task_id=pipeline.id) if pipeline else None


def abort(code: int) -> NoReturn:
    """End the steps of this process's run and the run itself as aborted, to be gone on with."""
    controller = _own_controller()
    if controller is None:
        sys.exit(code)
    for node in PipelineDecorator.get_current_pipeline().get_pipeline_dag().values():
        if process := getattr(node.job, "_job_process", None):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)  # Ctrl-C in a terminal reaches it, too; `kill` does not
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOPPING_SECONDS)
    end_as_aborted(controller, code)


def mark_failed(error: Exception) -> None:
    """Show on the controller's page why the run failed."""
    if controller := _own_controller():
        reason = BAD_INPUT if isinstance(error, BadInput) else "step failed"
        controller.mark_failed(status_reason=reason, status_message=str(error), force=True)


class ServerSteps(Steps):
    """Steps as tasks; made inside the pipeline function, once the controller exists."""

    def __init__(self, pipeline: Pipeline, config: Any, folder: Path) -> None:
        super().__init__(pipeline, config, folder, ServerStore(config.run.project))
        self.poll_seconds = 0.5 if config.run.mode == "local" else 2.0
        self.controller = Task.current_task()
        self.clearml = PipelineDecorator.get_current_pipeline()
        project = steps_project(config.run.project)
        self.project = Task.get_project_id(project, search_hidden=True)

    @property
    def graph(self) -> dict[str, Any]:
        """ClearML's nodes by the names of the steps."""
        return self.clearml.get_pipeline_dag()

    def prepare(self) -> None:
        """Tell ClearML where each step runs, and by what to know it again."""
        texts = self.pipeline.parameters.texts_of(self.config)
        self.controller.set_configuration_object("configuration", config_dict=texts)
        # The decorator sets its own callback when the pipeline is called, so ours comes after it.
        for job in (ClearmlJob, LocalClearmlJob):
            job.register_hashing_callback(self._cache_key)
        for stage in self.pipeline.stages:
            node = self.graph[stage]
            node.queue = getattr(self.run.queues, stage)
            container = {  # not `explicit_docker_image`, which ClearML hashes, but gives to no task
                "container.image": getattr(self.run.images, stage),
                "container.arguments": getattr(self.run.container_arguments, stage),
            }
            node.task_overrides = {name: text for name, text in container.items() if text} or None

    def find(self, wanted: Dependencies) -> Record | None:
        found = self._finished(wanted.stage, fingerprint=wanted.fingerprint)
        same = [one for one in found if one.dependencies.fingerprint == wanted.fingerprint]
        good = (one for one in same if self.store.is_intact(one.reference))
        return next(good, None)

    def why(self, wanted: Dependencies) -> str:
        parts = self._parts(self.pipeline.stages[wanted.stage])
        told = f", in {parts} parallel parts" if parts > 1 else ""
        return reasons(wanted, self._finished(wanted.stage)) + told

    def _parts(self, stage: Stage) -> int:
        return getattr(stage.settings(self.config), COUNT) if stage.in_parts else 1

    def alone(self, wanted: Dependencies) -> AbstractContextManager[None]:
        return single_flight.announced(self.controller, wanted, self.poll_seconds)

    def describe(self, node: Any, wanted: Dependencies, arguments: dict[str, str]) -> None:
        """Have the step's task keep what it was planned with."""
        node.configurations = {DEPENDENCIES: asdict(wanted) | {ARGUMENTS: arguments}}
        node.cache_executed_step = False  # `find` has looked, with more care than ClearML would

    def execute(self, stage: Stage, wanted: Dependencies, arguments: dict[str, str]) -> str:
        self.describe(self.graph[stage.name], wanted, arguments)
        if self._parts(stage) == 1:
            return self._call(stage, arguments, wanted.fingerprint)
        parts = make_parts(self, stage, wanted, arguments)
        made = self._call(stage, arguments | {"merge": ",".join(parts)}, wanted.fingerprint)
        self.store.remove(parts)
        return made

    def reuse(self, stage: Stage, record: Record, arguments: dict[str, str]) -> str:
        # ClearML shows the step as cached, if perhaps by another task of the same fingerprint;
        # what goes on is the output that was checked.
        made = self._call(stage, arguments, record.dependencies.fingerprint)
        return record.reference if self.graph[stage.name].job.is_cached_task() else made

    def existing(self, stage: Stage, reference: str) -> str:
        if reference != "latest":
            if not self.store.is_intact(reference):
                raise BadInput(f"{reference}: no such id on the server, or its files are gone")
            return reference
        finished = self._finished(stage.name)
        if not finished:
            raise BadInput("latest: there is none on the server yet")
        return finished[0].reference

    def _call(self, stage: Stage, arguments: dict[str, str], fingerprint: str) -> str:
        value = stage.component(**arguments, fingerprint=fingerprint)
        return self.outcome(self.graph[stage.name], value)

    def outcome(self, node: Any, value: Any) -> str:
        """What a called step returns, once it has; ClearML itself looks every 5 or 20 s only."""
        while not (node.job and node.job.is_stopped()):
            set_time_limits(self.graph, self.run.time_limits)
            time.sleep(self.poll_seconds)
        if node.job.is_aborted() and self._is_stopping():
            time.sleep(STOPPING_SECONDS)  # the agent ends this process; no failure is to be told
        with contextlib.suppress(ValueError):
            if (made := str(value)) != str(None):
                return made
        data = node.job.task.data
        reason = exceeded(node) or data.status_message or data.status_reason or "see its console"
        raise StepFailed(f"{node.name} {data.status}: {reason}")

    def _is_stopping(self) -> bool:
        """Whether a person aborted the run as a whole."""
        self.controller.reload()
        data = self.controller.data
        return str(data.status) == "stopped" or data.status_message == "stopping"

    def finish(self) -> None:
        """Show on the controller's page what the steps made."""
        logger = reporting.logger_of(self.controller)
        rows = [[one["stage"], one["why"] or "reused", one["seconds"]] for one in self.told]
        logger.report_table(
            "stages", "why", table_plot=[["stage", "why it ran", "seconds"], *rows], iteration=0
        )
        for name, reference in self.references.items():
            stage, made = self.pipeline.stages[name], self.store.fetch(reference)
            stage.report(logger, made)
            for file, delivered in stage.delivers.items():
                if self.run.mode == "local":
                    copy(made / file, self.folder / delivered)
                if delivered == PAGE:
                    self.controller.upload_artifact(PAGE, made / file)
            if stage.given_by == MODEL:
                self.controller.set_input_model(
                    model_id=reference,
                    name=MODEL,
                    update_task_design=False,
                    update_task_labels=False,
                )
        if "decision" in self.result:
            self.controller.upload_artifact("decision", self.result["decision"])
        self.tell_result()
        log.info("page       %s", page_of(self.controller))

    def _cache_key(self, step: dict[str, Any]) -> dict[str, Any]:
        """What ClearML hashes of a step: our fingerprint, not commit, branch and repository.

        Within the project, which is where `find` looks as well.
        """
        fingerprint = step["hyper_params"].get("kwargs/fingerprint")
        return {"fingerprint": fingerprint, "project": self.project} if fingerprint else step

    def _finished(self, stage: str, fingerprint: str | None = None) -> list[Record]:
        """Finished steps of a stage, newest first, with this fingerprint if one is given."""
        if self.project is None:
            return []
        wanted: dict[str, Any] = {
            "project": [self.project],
            "status": ["completed", "published"],
            "system_tags": ["-archived"],
            "order_by": ["-last_update"],
            "search_hidden": True,
            "page": 0,
            "page_size": NEAREST,
        }
        if fingerprint:
            wanted["_all_"] = {
                "fields": ["hyperparams.kwargs.fingerprint.value"],
                "pattern": f"^{fingerprint}$",
            }
        try:
            tasks = Task.get_tasks(task_name=f"^{stage}$", task_filter=wanted)
        except (SendError, ValueError) as error:
            log.warning("ignoring earlier steps: the server does not list them (%s)", error)
            return []
        return [record for task in tasks if (record := _record(task))]


def _record(task: Task) -> Record | None:
    """What a finished step's task tells; None when it is not one of ours or is damaged."""
    try:
        stored = json.loads(task.get_configuration_object(DEPENDENCIES) or "")
        planned = stored.pop(ARGUMENTS)
        described = Dependencies.of(stored)
        texts = task.get_parameters()
        reference = next(text for name, text in texts.items() if name.startswith("return/"))
        edited = any((texts.get(f"kwargs/{name}") or "") != text for name, text in planned.items())
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError):
        log.warning("ignoring step %s: its record of dependencies can't be read", task.id)
        return None
    if edited:
        return None  # a clone of a person's
    return Record(
        described, reference, run=task.parent or task.id, finished=str(task.data.completed)
    )
