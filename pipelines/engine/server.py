"""Steps as tasks of a ClearML server: on this machine or on the agents of their queues."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests
from clearml import PipelineDecorator, Task
from clearml.automation.job import ClearmlJob, LocalClearmlJob
from clearml.backend_api import Session
from clearml.backend_api.session.defs import MissingConfigError
from clearml.backend_api.session.session import LoginError
from clearml.backend_interface.session import SendError

from components.ingest import sources
from components.runtime import reporting
from components.runtime.files import read_json
from components.runtime.schema import BadInput
from components.runtime.step import BAD_INPUT, DEPENDENCIES
from components.runtime.stores import steps_project
from components.runtime.stores.server_store import ServerStore
from pipelines.engine import parameters, single_flight
from pipelines.engine.fingerprint import Dependencies, Record, reasons
from pipelines.engine.parameters import STAGES, Config
from pipelines.engine.parts import SHARED, make_parts
from pipelines.engine.steps import Steps
from pipelines.engine.time_limits import exceeded, set_time_limits
from pipelines.sweeps.trials import keep_task

log = logging.getLogger(__name__)

STOPPING_SECONDS = 60  # an agent takes up to 10 s to end the process of an aborted task
NEAREST = 50  # how many earlier steps are compared to say why one runs


class StepFailed(RuntimeError):
    """A step that failed, with its name and reason."""


def check_connection() -> None:
    """`BadInput` unless there are credentials, and a server that answers and takes them."""
    remedy = "run clearml-init, or set CLEARML_CONFIG_FILE"
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


def check_source(config: Config) -> None:
    """`BadInput` for a ClearML dataset that is not there, before anything is created."""
    if config.ingest.source == "clearml_dataset" and "ingest" in config.run.stages:
        sources.fingerprint(config.ingest, ServerStore(config.run.project).identify_dataset)


def plan(config: Config, folder: Path) -> None:
    """Tell which stages would run, and why; nothing is created on the server."""
    from pipelines.dag import connect

    connect(ServerSteps(config, folder).plan, config)


def run_controller(config: Config, folder: Path) -> float | None:
    """Run the pipeline as its controller; returns the test accuracy.

    Raises `BadInput` and `StepFailed`, which the caller tells the task of this process.
    """
    from pipelines.dag import pipeline

    made: list[ServerSteps] = []

    def make_step(settings: Config) -> ServerSteps:
        made.append(ServerSteps(settings, folder))
        made[0].prepare(settings)
        keep_task(made[0].controller, folder)
        return made[0]

    pipeline(config, make_step)(**parameters.texts_of(config))
    return made[0].accuracy


def mark_failed(error: Exception) -> None:
    """Show on the page of this process's controller, if it came to be, why it failed."""
    # Not `Task.current_task()`: ClearML has closed it by now, with a message of its own.
    if pipeline := PipelineDecorator.get_current_pipeline():
        controller = Task.get_task(task_id=pipeline.id)
        reason = BAD_INPUT if isinstance(error, BadInput) else "step failed"
        controller.mark_failed(status_reason=reason, status_message=str(error), force=True)


class ServerSteps(Steps):
    """Steps as tasks; made inside the pipeline function, once the controller exists."""

    def __init__(self, config: Config, folder: Path) -> None:
        super().__init__(config, folder, ServerStore(config.run.project))
        self.shards = config.preprocess.shards
        self.poll_seconds = 0.5 if config.run.mode == "local" else 2.0
        self.controller = Task.current_task()
        self.pipeline = PipelineDecorator.get_current_pipeline()
        project = steps_project(config.run.project)
        self.project = Task.get_project_id(project, search_hidden=True)

    def prepare(self, config: Config) -> None:
        """Tell ClearML where each step runs, and by what to know it again."""
        self.controller.set_configuration_object(
            "configuration", config_dict=parameters.texts_of(config)
        )
        # The decorator sets its own callback when the pipeline is called, so ours comes after it.
        for job in (ClearmlJob, LocalClearmlJob):
            job.register_hashing_callback(self._cache_key)
        for stage in STAGES:
            node = self._node(stage)
            node.queue = getattr(config.run.queues, stage)
            container = {  # not `explicit_docker_image`, which ClearML hashes, but gives to no task
                "container.image": getattr(config.run.images, stage),
                "container.arguments": getattr(config.run.container_arguments, stage),
            }
            node.task_overrides = {name: text for name, text in container.items() if text} or None

    def find(self, wanted: Dependencies) -> Record | None:
        found = self._finished(wanted.stage, fingerprint=wanted.fingerprint)
        same = [one for one in found if one.dependencies.fingerprint == wanted.fingerprint]
        good = (one for one in same if self.store.is_intact(one.reference))
        return next(good, None)

    def why(self, wanted: Dependencies) -> str:
        shared = wanted.stage == SHARED and self.shards > 1
        told = f", in {self.shards} parallel parts" if shared else ""
        return reasons(wanted, self._finished(wanted.stage)) + told

    def alone(self, wanted: Dependencies) -> AbstractContextManager[None]:
        return single_flight.announced(self.controller, wanted, self.poll_seconds)

    def execute(self, component: Callable, wanted: Dependencies, arguments: dict[str, str]) -> str:
        node = self._node(wanted.stage)
        node.configurations = {DEPENDENCIES: asdict(wanted)}
        node.cache_executed_step = False  # `find` has looked, with more care than ClearML would
        if wanted.stage != SHARED or self.shards == 1:
            return self._call(component, arguments, wanted.fingerprint)
        parts = make_parts(self, wanted, arguments)
        made = self._call(component, arguments | {"parts": ",".join(parts)}, wanted.fingerprint)
        self.store.remove_parts(parts)
        return made

    def reuse(self, component: Callable, record: Record, arguments: dict[str, str]) -> str:
        # ClearML shows the step as cached, if perhaps by another task of the same fingerprint;
        # what goes on is the output that was checked.
        made = self._call(component, arguments, record.dependencies.fingerprint)
        return record.reference if self._node(component.__name__).job.is_cached_task() else made

    def existing(self, stage: str, reference: str) -> str:
        if reference != "latest":
            if not self.store.is_intact(reference):
                raise BadInput(f"{reference}: no such id on the server, or its files are gone")
            return reference
        finished = self._finished(stage)
        if not finished:
            raise BadInput("latest: there is none on the server yet")
        return finished[0].reference

    def _call(self, component: Callable, arguments: dict[str, str], fingerprint: str) -> str:
        value = component(**arguments, fingerprint=fingerprint)
        return self.outcome(self._node(component.__name__), value)

    def outcome(self, node: Any, value: Any) -> str:
        """What a called step returns, once it has; ClearML itself looks every 5 or 20 s only."""
        while not (node.job and node.job.is_stopped()):
            set_time_limits(self.pipeline.get_pipeline_dag(), self.run.time_limits)
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
        reports = {
            "preprocess": [reporting.report_dataset],
            "train": [reporting.report_model, reporting.report_history],
            "evaluate": [reporting.report_evaluation],
        }
        for stage, functions in reports.items():
            if stage in self.references:
                if stage == "train":
                    self.controller.set_input_model(
                        model_id=self.references[stage],
                        name="model",
                        update_task_design=False,
                        update_task_labels=False,
                    )
                made = self.store.fetch(self.references[stage])
                for function in functions:
                    function(logger, made)
                if stage == "evaluate":
                    metrics = read_json(made / "metrics.json")
                    self.accuracy = metrics["accuracy"]
                    if "gate" in metrics:
                        self.controller.upload_artifact("decision", metrics["gate"])
        self.keep_result()

    def _cache_key(self, step: dict[str, Any]) -> dict[str, Any]:
        """What ClearML hashes of a step: our fingerprint, not commit, branch and repository.

        Within the project, which is where `find` looks as well.
        """
        fingerprint = step["hyper_params"].get("kwargs/fingerprint")
        return {"fingerprint": fingerprint, "project": self.project} if fingerprint else step

    def _node(self, stage: str) -> Any:
        return self.pipeline.get_pipeline_dag()[stage]

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
        described = Dependencies.of(json.loads(task.get_configuration_object(DEPENDENCIES) or ""))
        texts = task.get_parameters()
        reference = next(text for name, text in texts.items() if name.startswith("return/"))
    except (ValueError, TypeError, StopIteration, RecursionError):
        log.warning("ignoring step %s: its record of dependencies can't be read", task.id)
        return None
    planned = described.parameters | described.inputs
    if any(texts.get(f"kwargs/{name}", text) != text for name, text in planned.items()):
        return None  # a clone that a person edited
    return Record(
        described, reference, run=task.parent or task.id, finished=str(task.data.completed)
    )
