"""ClearML's schedulers for retraining: here, as a task of a queue, or only told about.

They are ClearML's own loops, with these differences (ClearML 2.1.12):
- A trigger asks for all that matches, each time, and not for changes since a state that only an
  agent restores. `Retraining` knows what has its run, so a start that failed is tried again.
- A start runs in the loop's thread, where its failure is seen, and not in one of its own.
- A project's datasets are told apart by us: `trigger_project` looks at the datasets that there are
  at the start, and keeps one of them after the first sync.
- Neither stores a state: in one task each would overwrite the other's.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timezone
from multiprocessing.pool import ThreadPool
from typing import Any

from clearml import Task
from clearml.automation import TaskScheduler, TriggerScheduler
from clearml.automation.scheduler import ScheduleJob
from clearml.automation.trigger import DatasetTrigger, ExecutedTrigger, TaskTrigger
from clearml.backend_api.session.client import APIClient

from components.runtime.schema import BadInput
from components.runtime.stores import steps_project
from pipelines.engine import enqueue
from pipelines.engine.controller import plain_task
from pipelines.engine.parameters import FORM
from pipelines.engine.pipeline import Pipeline
from pipelines.retraining import schedules
from pipelines.retraining.hook import Hook
from pipelines.retraining.runs import REPORTED, RETRAIN, TASK, Retraining, first_start

log = logging.getLogger(__name__)

EVER = datetime(1970, 1, 1, tzinfo=timezone.utc)
ENDED = ["completed", "failed", "stopped", "published", "closed"]
ENTRY = "pipelines/retrain_on_new_data.py"


def _nothing(*_: object) -> None:
    """In place of what stores a state."""


class DatasetWatch(DatasetTrigger):
    """Datasets, also where the server hides them; those that changed last first."""

    def build_query(self, ref_time: datetime, client: APIClient | None = None) -> dict[str, Any]:
        query = super().build_query(ref_time, client)
        query["system_tags"] = ["dataset", "-archived"]
        return query | {"search_hidden": True, "order_by": ["-last_change"]}


class RunWatch(TaskTrigger):
    """Runs of the pipeline, which are hidden."""

    def build_query(self, ref_time: datetime, client: APIClient | None = None) -> dict[str, Any]:
        return super().build_query(ref_time, client) | {"search_hidden": True}


class Triggers(TriggerScheduler):
    """Starts a run for each dataset that matches, and tells how the runs ended."""

    def __init__(self, retraining: Retraining) -> None:
        super().__init__(pooling_frequency_minutes=retraining.settings.poll_minutes)
        self._dataset_triggers = dataset_watches(retraining)
        project = steps_project(retraining.settings.run.project)
        self._task_triggers = [
            RunWatch(
                name="a run ended",
                base_function=retraining.report_end,
                project=Task.get_project_id(project, search_hidden=True),
                required_tags=[RETRAIN, f"-{REPORTED}"],
                on_status=ENDED,
            )
        ]
        self._done: set[tuple[str, str]] = set()
        self._started = False

    def _step(self) -> bool:
        for trigger in self.get_triggers():
            trigger.last_update = EVER
            trigger._triggered_instances = {}
        self._started = False
        super()._step()
        return self._started

    def _launch_job(self, job: Any, trigger_id: str) -> None:
        if (job.name, trigger_id) in self._done:
            return
        try:
            run = job.base_function(trigger_id)
        except Exception as error:
            log.warning("%s: %s: %s; trying again", job.name, trigger_id, error)
            return
        if run is None:
            return  # not started; again at the next look
        self._done.add((job.name, trigger_id))
        if run:
            self._started = True
            moment = datetime.now(timezone.utc)
            self._executed_triggers.append(ExecutedTrigger(job.name, moment, task_id=run))

    _serialize_state = _deserialize_state = _nothing


class Times(TaskScheduler):
    """Starts a run at fixed times."""

    def __init__(self, retraining: Retraining) -> None:
        super().__init__()
        for name, at in schedules.parse(retraining.settings.schedule or "").items():
            self.add_task(schedule_function=retraining.start_scheduled, name=name, **at)

    def _launch_job(self, job: ScheduleJob) -> None:
        job.run(job.base_function())

    _serialize_state = _deserialize_state = _nothing


def dataset_watches(retraining: Retraining) -> list[DatasetWatch]:
    """What to ask the server for: ClearML's triggers see completed or published datasets only."""
    tag = retraining.settings.tag
    found = []
    if tag:
        for name, published in ((f"tag {tag}", False), (f"tag {tag}, published", True)):
            function = retraining.start_for
            found.append(DatasetWatch(name, None, function, tags=[tag], on_publish=published))
    if retraining.settings.published:
        function = retraining.start_for_published
        found.append(DatasetWatch("published", None, function, on_publish=True))
    return found


def run(pipeline: Pipeline, settings: Any, stored: dict[str, str]) -> None:
    """Watch until Ctrl-C, or until the task is aborted."""
    hook = Hook(settings.notify)  # read on the machine where it runs
    Retraining(pipeline, settings, hook).preflight()
    task = plain_task(settings.run.project, TASK, "service")
    if stored:
        task.set_parameters(stored)
    log.info("retraining: %s", task.get_output_log_web_page())
    retraining = Retraining(pipeline, settings, hook, first_start(settings.run.project))
    if settings.schedule:
        threading.Thread(target=Times(retraining).start, daemon=True).start()
    try:  # the main thread only waits: within the SDK, Ctrl-C could be swallowed
        with ThreadPool(1) as loop:
            loop.apply_async(Triggers(retraining).start).get()
    except KeyboardInterrupt:
        task.mark_stopped(status_message="Ctrl-C")


def submit(
    pipeline: Pipeline, settings: Any, stored: dict[str, str], helps: dict[str, str]
) -> None:
    """Enqueue the scheduler; the agent fetches its code with git."""
    enqueue.check_checkout(pipeline, settings.run)
    _check_queue(pipeline, settings)
    helps = {f"{FORM}/{name}": line for name, line in helps.items()}
    task = enqueue.create(
        stored,
        helps,
        project_name=settings.run.project,
        task_name=TASK,
        task_type="service",
        script=ENTRY,
    )
    Task.enqueue(task, queue_name=settings.queue)
    log.info("enqueued on %s: %s", settings.queue, task.get_output_log_web_page())


def _check_queue(pipeline: Pipeline, settings: Any) -> None:
    _, config, _ = Retraining(pipeline, settings, Hook(None)).preflight()
    client = APIClient()
    if settings.queue not in {one.name for one in client.queues.get_all(page_size=500, page=0)}:
        raise BadInput(f"queue={settings.queue}: no such queue; create it in the web UI")
    if settings.queue == config.run.queues.controller:
        log.warning(
            "queue=%s: the runs wait in it too; an agent without --services-mode would not "
            "start them while the scheduler runs",
            settings.queue,
        )


def tell(pipeline: Pipeline, settings: Any) -> None:
    """Print what would be started now, and when the schedule is due; creates nothing."""
    since = first_start(settings.run.project) or datetime.now(timezone.utc)
    retraining = Retraining(pipeline, settings, Hook(None), since)
    earlier, config, edits = retraining.preflight()
    print(f"copies run {earlier.id} on queue {config.run.queues.controller}, with")
    for name, text in edits.items():
        print(f"  {name.replace('/', '.')}={text}")
    client, shown = APIClient(), set()
    for watch in dataset_watches(retraining):
        query = watch.build_query(EVER, client)
        for found in client.tasks.get_all(only_fields=["id"], _allow_extra_fields_=True, **query):
            dataset, told = retraining.judged(found.id, published=watch.name == "published")
            if told and found.id not in shown:
                shown.add(found.id)
                print(f"{told}: would start a run" if dataset else told)
    if not shown:
        print("no dataset matches now")
    for name, at in (schedules.parse(settings.schedule) if settings.schedule else {}).items():
        job = ScheduleJob(name, base_function=print, **at)
        print(f"schedule {name}: next on {job.next():%A %Y-%m-%d %H:%M} UTC")
