"""What runs left behind, on this machine or on a server, and who still needs it."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from components.runtime.champions import Champions
from components.runtime.files import SEAL, read_json
from components.runtime.stores import FEATURE, steps_project
from components.runtime.stores.local_store import LocalStore
from pipelines.engine.pipeline import Pipeline, stage_of
from pipelines.engine.run_records import STAGES
from pipelines.engine.single_flight import values_of

PUBLISHED = ("datasets", f"{FEATURE}s", "models", "evaluations")
KINDS = ("runs", "sweeps", "optimize", *PUBLISHED, "checkpoints", "downloads", "steps")
DAY = 86400  # seconds
UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Leftover:
    """One thing that a run left behind; `used_by` says who needs it, empty for nobody."""

    kind: str
    name: str
    bytes: int
    days: float  # since it was made or last used
    used_by: str
    remove: Callable[[], None]
    before: tuple[str, ...] = ()
    """The names of those that can't be fetched without it, and so have to go before it."""


def of_outputs(pipeline: Pipeline, store: LocalStore, gone: Collection[str] = ()) -> list[Leftover]:
    """What is below `outputs`: runs and sweeps by their folders, the rest by what is published.

    The runs `gone` are about to be removed, so they need nothing any more.
    """
    outputs = store.outputs
    users, last = _uses(pipeline, store, gone)
    found = []
    for kind, pattern in (
        ("runs", "[0-9]*-*-*/*"),
        ("sweeps", "sweeps/*/*"),
        ("optimize", "optimize/*/*"),
        ("checkpoints", "checkpoints/*"),
        ("downloads", "downloads/*"),
        *((kind, f"{kind}/*") for kind in PUBLISHED),
    ):
        for path in sorted(outputs.glob(pattern)):
            name = path.relative_to(outputs).as_posix()
            moment = max(path.stat().st_mtime, last.get(name, 0.0))
            days = max(0.0, (time.time() - moment) / DAY)
            user, remove = users.get(name, ""), partial(_remove, path)
            found.append(Leftover(kind, name, _size(path), days, user, remove))
    return found


def _uses(
    pipeline: Pipeline, store: LocalStore, gone: Collection[str]
) -> tuple[dict[str, str], dict[str, float]]:
    """Who needs each published thing, and when a run made or reused it last."""
    users = _champions(store.champions)
    for stage in pipeline.stages.values():
        if stage.published_as and (newest := store.latest(stage.published_as)):
            users.setdefault(newest, "run.*=latest, which is the newest one")
    last: dict[str, float] = {}
    for path in store.outputs.glob(f"**/{STAGES}"):
        run = path.parent.relative_to(store.outputs).as_posix()
        for one in read_json(path):
            if run not in gone and not _is_derived(pipeline, one["stage"]):
                users.setdefault(one["reference"], f"run {run}")
            moment = path.stat().st_mtime
            last[one["reference"]] = max(moment, last.get(one["reference"], 0.0))
    return users, last


def _is_derived(pipeline: Pipeline, stage: str) -> bool:
    """Whether what the stage makes has no use for itself: others can make it again."""
    return stage in pipeline.stages and pipeline.stages[stage].derived


def _champions(champions: Champions) -> dict[str, str]:
    """The champion, the one before it, and the evaluation that promoted it."""
    champion = champions.current()
    if champion is None:
        return {}
    users = {champion.model: "the champion", champion.before: "the champion, as the one before"}
    return users | {champion.evaluation: "the champion, whose promotion it decided"}


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def _remove(path: Path) -> None:
    if path.is_dir():
        (path / SEAL).unlink(missing_ok=True)  # first: a half of a published thing is nothing
        shutil.rmtree(path)
    else:
        path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def of_server(pipeline: Pipeline, project: str, champions: Champions) -> list[Leftover]:
    """The steps, datasets and models of a project on a ClearML server.

    What no run that is still there made or took as an input has no use: ClearML keeps the steps of
    a run that a person deletes, and all that they made. What is published stays.
    """
    from clearml import Dataset, Model, Task

    tasks = _tasks(project)
    runs = {task["id"] for task in tasks if str(task["type"]) == "controller"}
    users = _champions(champions)
    graphs = {task["id"]: _graph(task) for task in tasks if task["id"] in runs}
    for task in tasks:
        # A run that reused a step names it in its graph; the step's parent is the run that made it.
        uses = (run for run, text in graphs.items() if run == task["parent"] or task["id"] in text)
        if user := next(uses, ""):
            for text in (*values_of(task, "kwargs").values(), *values_of(task, "return").values()):
                users.setdefault(text, f"run {user}")
            users.setdefault(task["id"], f"run {user}")
    found = []

    def add(
        kind: str, one: dict[str, Any], remove: Callable[[], Any], before: tuple[str, ...] = ()
    ) -> None:
        user = users.get(one["id"]) or ("its publication" if _is_published(one) else "")
        size = int((one.get("runtime") or {}).get("ds_total_size") or 0)
        name = f"{one['name']} {one['id']}"
        found.append(Leftover(kind, name, size, _age(one), user, remove, before))

    for task in tasks:
        if task["id"] not in runs and stage_of(task["name"]) in pipeline.stages:
            add("steps", task, partial(_delete_step, Task, task["id"]))
    for model in _models(project):
        add("models", model, partial(Model.remove, model["id"], delete_weights_file=True))
    versions = _datasets(project)
    for dataset in versions:
        delete = partial(Dataset.delete, dataset_id=dataset["id"], force=True)
        later = (one for one in versions if dataset["id"] in _graph(one, "Dataset Struct"))
        names = tuple(f"{one['name']} {one['id']}" for one in later if one is not dataset)
        add("datasets", dataset, delete, names)
    return found


def _graph(task: dict[str, Any], name: str = "Pipeline") -> str:
    """What ClearML keeps of a run's steps, reused ones too, or of the versions before a dataset."""
    item = (task.get("configuration") or {}).get(name) or {"value": ""}
    return str(item["value"] if isinstance(item, dict) else item.value)


def _tasks(project: str) -> list[dict[str, Any]]:
    """Runs and steps."""
    from clearml import Task

    inside = Task.get_project_id(steps_project(project), search_hidden=True)
    fields = ["name", "type", "status", "parent", "last_update", "hyperparams", "configuration"]
    wanted = {"project": [inside], "search_hidden": True}
    return Task.query_tasks(task_filter=wanted, additional_return_fields=fields) if inside else []


def _models(project: str) -> list[dict[str, Any]]:
    from clearml.backend_api.session.client import APIClient

    from components.runtime.stores.server_champions import models_of

    ours, fields = models_of(project), ["id", "name", "ready", "last_update"]
    found = APIClient().models.get_all(id=ours, only_fields=fields) if ours else []
    return [model.to_dict() for model in found]


def _datasets(project: str) -> list[dict[str, Any]]:
    """Those that the pipeline made, which have the hash of their content for a tag."""
    from clearml import Dataset, Task

    ours = [
        one["id"]
        for one in Dataset.list_datasets(dataset_project=project, only_completed=True)
        if any(tag.startswith("content:") for tag in one["tags"])
    ]
    fields = ["name", "status", "last_update", "runtime", "configuration"]
    wanted = {"id": ours, "search_hidden": True, "order_by": ["-created"]}
    return Task.query_tasks(task_filter=wanted, additional_return_fields=fields) if ours else []


def _delete_step(tasks: Any, step: str) -> None:
    tasks.get_task(task_id=step).delete(
        delete_artifacts_and_models=False, skip_models_used_by_other_tasks=True
    )


def _is_published(one: dict[str, Any]) -> bool:
    return bool(one.get("ready")) or str(one.get("status")) == "published"


def _age(one: dict[str, Any]) -> float:
    """Days since it changed last."""
    moment = one["last_update"]
    return (datetime.now(timezone.utc) - moment).total_seconds() / DAY if moment else 0.0


def size_in_words(size: float) -> str:
    """Bytes as people read them."""
    power = min(int(math.log(max(size, 1), 1000)), len(UNITS) - 1)
    return f"{size / 1000**power:.{1 if power > 1 else 0}f} {UNITS[power]}"
