"""New runs of the pipeline on new data: which datasets get one, what it is, how it ended.

Whether a dataset has its run already is read from the runs' tags on the server, each time. So a
scheduler that was restarted, or lost, neither misses a dataset nor starts a second run for it.
"""

from __future__ import annotations

import functools
import logging
from datetime import datetime
from typing import Any

from clearml import Task

from components.runtime.schema import BadInput
from components.runtime.stores import steps_project
from pipelines.engine import enqueue
from pipelines.engine.pipeline import Pipeline
from pipelines.engine.run_records import page_of
from pipelines.retraining.hook import Hook

log = logging.getLogger(__name__)

RETRAIN, SCHEDULED, REPORTED = "retrain", "scheduled", "reported"  # tags of the runs
OURS = ("raw images", "processed images")  # what runs publish themselves
TASK = "retrain on new data"  # name of the scheduler's task
DATASETS = "/.datasets/"  # ClearML keeps the versions of a dataset in a hidden project


class Retraining:
    """Starts runs; each of its methods may be called again after it failed."""

    def __init__(
        self, pipeline: Pipeline, settings: Any, hook: Hook, since: datetime | None = None
    ) -> None:
        """`since` is when the first scheduler of the project was started."""
        self.pipeline = pipeline
        self.settings = settings
        self.since = since
        self._hook = hook
        self._told: set[str] = set()

    # -- which datasets ----------------------------------------------------------------------------
    def watches(self, dataset: Task) -> bool:
        """Whether it is a version of the wanted dataset, or any of the project."""
        name, wanted = _name(dataset), self.settings.dataset
        return name == wanted if wanted else name.startswith(f"{self.settings.run.project}/")

    def objection(self, dataset: Task, *, published: bool = False) -> str | None:
        """Why this dataset gets no run; None when it gets one."""
        tags = dataset.get_tags() or []
        if dataset.name in OURS and any(tag.startswith("content:") for tag in tags):
            return "a run of the pipeline made it"  # or each run would start the next
        moment = dataset.data.published
        if published and moment and self.since and moment < self.since:
            return "it was published before retraining was first started"
        runs = self._runs(tags=[_tag(dataset.id)])
        if not runs:
            return None
        draft = ", a draft; enqueue it or delete it" if runs[0].status == "created" else ""
        return f"it has its run, {runs[0].id}{draft}"

    def newest(self) -> Task | None:
        """The newest version of the dataset that the settings name."""
        if not self.settings.dataset:
            return None
        project, _, name = self.settings.dataset.rpartition("/")
        found = enqueue.tasks_in(
            f"{project}{DATASETS}{name}",
            status=["completed", "published"],
            system_tags=["dataset", "-archived"],
            order_by=["-created"],
        )
        if not found:
            raise BadInput(f"dataset={self.settings.dataset}: there is no finished version")
        return found[0]

    # -- what is started ---------------------------------------------------------------------------
    def edits(self, dataset: str | None) -> dict[str, str]:
        """The parameters of a new run that differ from those of the run that it copies."""
        texts = {
            "evaluate/gate": "promote",
            "run/stages": "[" + ",".join(self.pipeline.stages) + "]",
            "run/dataset": "null",  # or ingest would be left out
            "run/model": "null",
            "run/plan": "false",
        }
        if self.settings.run.idle_queues:
            texts["run/idle_queues"] = "true"
        if dataset:
            texts |= {"ingest/source": "clearml_dataset", "ingest/dataset": dataset}
            texts |= {"ingest/path": "null", "ingest/sha256": "null"}
        for override in self.settings.parameters:
            name, _, text = override.partition("=")
            texts[name.strip().replace(".", "/")] = text.strip()
        return texts

    def preflight(self) -> tuple[Task, Any, dict[str, str]]:
        """The run to copy, settings and edits of a new run; `BadInput` for what could not run."""
        return self._prepare("0" * 32 if self.settings.tag or self.settings.published else None)

    def _prepare(self, dataset: str | None) -> tuple[Task, Any, dict[str, str]]:
        base = self.settings.base
        done = ["completed", "published"]
        earlier = enqueue.find_run(base, self.settings.run, f"base={base}", done)
        edits = self.edits(dataset)
        defaults = self.pipeline.parameters.defaults()
        return earlier, enqueue.check_copy(self.pipeline, earlier, defaults, edits), edits

    def _start(self, dataset: Task | None, tags: list[str], why: str) -> str | None:
        """Enqueue a run; its id, or None when that failed, which is told once for each reason."""
        about = {"dataset": dataset.id, "dataset_name": _name(dataset)} if dataset else {}
        try:
            earlier, config, edits = self._prepare(dataset.id if dataset else None)
            run = enqueue.copy(self.pipeline, earlier, config, edits, [RETRAIN, *tags])
        except Exception as error:  # the scheduler goes on, and tries again
            reason = f"{why}: no run was started: {error}"
            if reason not in self._told:
                self._told.add(reason)
                log.warning("%s", reason)
                self._hook.send({"event": "not started", "text": reason, **about})
            return None
        page = page_of(run)
        text = f"{why}: started {page}"
        log.info("%s", text)
        self._hook.send({"event": "started", "text": text, "run": run.id, "page": page, **about})
        return run.id

    def judged(self, dataset_id: str, *, published: bool = False) -> tuple[Task | None, str]:
        """The dataset if it gets a run, and a text about it: empty for one not watched."""
        dataset = Task.get_task(task_id=dataset_id)
        if not self.watches(dataset):
            return None, ""
        objection = self.objection(dataset, published=published)
        what = f"dataset {_name(dataset)} ({dataset_id})"
        return (None, f"{what}: no run, as {objection}") if objection else (dataset, what)

    def start_for(self, dataset_id: str, *, published: bool = False) -> str | None:
        """Start the run of a dataset: its id, empty for none; None when it failed."""
        dataset, told = self.judged(dataset_id, published=published)
        if dataset:
            return self._start(dataset, [_tag(dataset_id)], told)
        if told:
            log.info("%s", told)
        return ""

    start_for_published = functools.partialmethod(start_for, published=True)

    def start_scheduled(self) -> str | None:
        """Start a run at its time, unless the one before has not ended."""
        why = f"schedule {self.settings.schedule}"
        try:
            waiting = self._runs(tags=[SCHEDULED], status=["queued", "in_progress"])
            if waiting:
                log.info("%s: no run, as the one before goes on (%s)", why, waiting[0].id)
                return None
            dataset = self.newest()
        except Exception as error:
            log.warning("%s: no run was started: %s", why, error)
            return None
        return self._start(dataset, [SCHEDULED, *([_tag(dataset.id)] if dataset else [])], why)

    # -- how it ended ------------------------------------------------------------------------------
    def report_end(self, run_id: str) -> str:
        """Tell how a run ended, once; empty, as it starts nothing."""
        run = Task.get_task(task_id=run_id)
        decision = run.artifacts.get("decision")
        decision = decision.get() if decision else {}
        page = page_of(run)
        words = decision.get("reason") or run.data.status_message or "no decision of the gate"
        text = f"run {run.status}: {words}: {page}"
        run.add_tags([REPORTED])
        log.info("%s", text)
        message = {"event": "ended", "text": text, "run": run_id, "page": page}
        message |= {"status": str(run.status), "verdict": decision.get("verdict")}
        self._hook.send(message | {"reason": words})
        return ""

    def _runs(self, **wanted: Any) -> list[Task]:
        project = steps_project(self.settings.run.project)
        return enqueue.tasks_in(project, type=["controller"], **wanted)


def first_start(project: str) -> datetime | None:
    """When the first scheduler of a project was started."""
    found = enqueue.tasks_in(project, name=f"^{TASK}$", type=["service"], order_by=["created"])
    return found[0].data.created if found else None


def _tag(dataset_id: str) -> str:
    return f"dataset:{dataset_id}"


def _name(dataset: Task) -> str:
    """A dataset as people know it: project/name."""
    project, _, name = dataset.get_project_name().partition(DATASETS)
    return f"{project}/{name}"
