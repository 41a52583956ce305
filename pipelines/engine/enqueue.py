"""Create the pipeline's controller as a task and put it on a queue."""

from __future__ import annotations

import logging
import subprocess
from collections import Counter
from typing import Any

from clearml import Task
from clearml.backend_api.session.client import APIClient

from components.runtime.schema import BadInput
from components.runtime.source import ROOT
from components.runtime.stores import steps_project
from pipelines.engine.controller import REQUIREMENTS
from pipelines.engine.parameters import FORM, Run, from_sections
from pipelines.engine.pipeline import Pipeline
from pipelines.engine.run_records import page_of

log = logging.getLogger(__name__)


def submit(pipeline: Pipeline, config: Any) -> Task:
    """Check what would go wrong later, then create the controller and enqueue it."""
    check(pipeline, config.run)
    parameters = pipeline.parameters
    stored = parameters.by_section(parameters.texts_of(config))
    helps = {
        name: parameters.known[name.partition("/")[2].replace("/", ".")].help
        for name in stored
        if name.startswith(f"{FORM}/")
    }
    task = create(
        stored,
        helps,
        project_name=steps_project(config.run.project),
        task_name=pipeline.name,
        task_type="controller",
        script=pipeline.entry,
    )
    task.set_system_tags(["pipeline"])
    return _enqueue(task, config.run)


def create(stored: dict[str, str], helps: dict[str, str], **about: str) -> Task:
    """A draft of a task whose code an agent fetches with git.

    `helps` are the lines that the web UI shows at some of the parameters `stored`; `about` is for
    `Task.create`.
    """
    task = Task.create(
        **about,
        working_directory=".",
        requirements_file=str(REQUIREMENTS),
        add_task_init_call=False,
    )
    task.update_parameters(stored)
    for each, line in helps.items():  # one call each: no other public way gives a description
        task.set_parameter(each, stored[each], description=line)
    return task


def resubmit(pipeline: Pipeline, base: str, config: Any, changed: set[str]) -> Task:
    """Run an earlier controller again as the web UI does: its code, its parameters, some edited.

    `base` is its id or `latest`; `changed` names the parameters to take from `config`.
    """
    earlier = find_run(base, config.run, f"rerun={base}")
    texts = pipeline.parameters.texts_of(config)
    edits = {name: text for name, text in texts.items() if name in changed}
    settings = check_copy(pipeline, earlier, texts, edits)
    return copy(pipeline, earlier, settings, edits)


def find_run(base: str, run: Run, told: str, status: list[str] | None = None) -> Task:
    """The controller of that id, or the latest, with one of the statuses if any are given."""
    if base == "latest":
        wanted = {"order_by": ["-created"], "system_tags": ["pipeline", "-archived"]}
        wanted |= {"status": status} if status else {}
        found = tasks_in(steps_project(run.project), type=["controller"], **wanted)
        if not found:
            kind = "completed" if status else "earlier"
            raise BadInput(f"{told}: there is no {kind} run in project {run.project}")
        return found[0]
    found = Task.query_tasks(
        task_filter={"id": [base], "type": ["controller"], "search_hidden": True}
    )
    if not found:
        raise BadInput(f"{told}: no pipeline run of that id on the server")
    return Task.get_task(task_id=base)


def tasks_in(project: str, tags: list[str] | None = None, **wanted: Any) -> list[Task]:
    """The tasks of a project that match; none when there is no such project."""
    inside = Task.get_project_id(project, search_hidden=True)
    if inside is None:
        return []
    return Task.get_tasks(
        tags=tags, task_filter=wanted | {"project": [inside], "search_hidden": True}
    )


def check_copy(
    pipeline: Pipeline, earlier: Task, defaults: dict[str, str], edits: dict[str, str]
) -> Any:
    """The settings of an edited copy; `BadInput` for one that could not run.

    `defaults` are for parameters that the earlier run did not have yet.
    """
    edited = defaults | from_sections(earlier.get_parameters() or {}) | edits
    settings = pipeline.parameters.read(edited | {"run/mode": "queue"})
    check_queues(settings.run, APIClient())
    return settings


def copy(
    pipeline: Pipeline,
    earlier: Task,
    settings: Any,
    edits: dict[str, str],
    tags: list[str] | None = None,
) -> Task:
    """Enqueue a copy that `check_copy` has accepted; with these tags instead of its own."""
    task = Task.clone(earlier, name=pipeline.name, parent=earlier.id, project=earlier.project)
    try:
        task.update_parameters(pipeline.parameters.by_section(edits))
        if tags is not None:
            task.set_tags(tags)
        return _enqueue(task, settings.run)
    except Exception:  # no draft is left, which would look like a run
        task.delete(delete_artifacts_and_models=False, raise_on_error=False)
        raise


def _enqueue(task: Task, run: Run) -> Task:
    Task.enqueue(task, queue_name=run.queues.controller)
    log.info("enqueued on %s: %s", run.queues.controller, page_of(task))
    return task


def check(pipeline: Pipeline, run: Run) -> None:
    """`BadInput` for what would keep a run on the queues from starting."""
    check_checkout(pipeline, run)
    check_queues(run, APIClient())


def check_checkout(pipeline: Pipeline, run: Run) -> None:
    """`BadInput` when an agent would not get the code that is here."""
    for stage in pipeline.stages:
        if (ROOT / f"{stage}.py").exists():
            raise BadInput(f"{stage}.py at the root: an agent would run it instead of the step")
    if run.unpushed:
        return
    remedy = "commit and push, or set run.unpushed=true"
    try:
        head = _git("rev-parse", "HEAD").strip()
    except (OSError, subprocess.CalledProcessError):
        raise BadInput(f"{ROOT}: agents fetch the code with git; this is no checkout") from None
    remotes = _git("remote").split()
    if not remotes:
        raise BadInput("git: there is no remote from which agents could fetch; add one and push")
    changed = _git("status", "--porcelain", "--untracked-files=normal").splitlines()
    if changed:
        raise BadInput(f"git: {changed[0][3:]} is not committed; {remedy}")
    if not _git("branch", "--remotes", "--contains", head).strip():
        raise BadInput(f"git: commit {head[:8]} is not pushed; {remedy}")


def check_queues(run: Run, client: APIClient) -> None:
    """`BadInput` for a missing queue, one without a worker, or a wait that would never end."""
    wanted, own = vars(run.queues), run.queues.controller
    workers = _served(wanted, run, client)
    shared = [name for name, queue in wanted.items() if queue == own and name != "controller"]
    if shared and workers[own] < 2:
        raise BadInput(
            f"run.queues.controller={own}: {shared[0]} uses it too, and one worker "
            "would wait for itself; give the controller a queue of its own"
        )


def check_queue(stage: str, run: Run) -> None:
    """`BadInput` for a missing queue of one stage, or one without a worker."""
    _served({stage: getattr(run.queues, stage)}, run, APIClient())


def _served(wanted: dict[str, str], run: Run, client: APIClient) -> Counter[str]:
    """How many workers each queue of the server has; `BadInput` where a wanted one has none."""
    existing = {queue.name for queue in client.queues.get_all(page_size=500, page=0)}
    for name, queue in wanted.items():
        if queue not in existing:
            raise BadInput(f"run.queues.{name}={queue}: no such queue; create it in the web UI")
    live = client.workers.get_all(last_seen=600)
    workers = Counter(queue.name for worker in live for queue in worker.queues or [])
    if not run.idle_queues:
        for name, queue in wanted.items():
            if not workers[queue]:
                raise BadInput(
                    f"run.queues.{name}={queue}: no agent serves it; start one "
                    f"(clearml-agent daemon --queue {queue}), or set run.idle_queues=true"
                )
    return workers


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout
