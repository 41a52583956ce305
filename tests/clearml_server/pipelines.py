"""pipelines.*: what the web UI's NEW RUN calls."""

from __future__ import annotations

import re

from . import status
from .errors import ApiError
from .params import prepare_params
from .state import Call, State, endpoint
from .tasks import clone_task


@endpoint("pipelines.start_pipeline")
def start_pipeline(state: State, call: Call) -> dict:
    """Clone the controller with the edited arguments, name the clone and enqueue it.

    Two oddities of the real server are kept, because pipelines have to live with them: an
    argument that is sent loses its type and description, and the names of all arguments are
    escaped once more, so that a dotted name comes back as two parameters.
    """
    base = state.get("tasks", call.need("task", "queue")[0])
    fields = {}
    if call.data.get("args"):
        merged = {section: dict(items) for section, items in base["hyperparams"].items()}
        for item in call.data["args"]:
            name = item.get("name")
            if not isinstance(name, str) or not isinstance(item.get("value"), str):
                raise ApiError("validation_error", "error for field 'args'")
            merged.setdefault("Args", {})[name] = {
                "section": "Args",
                "name": name,
                "value": str(item.get("value")),
            }
        fields["hyperparams"] = merged
        prepare_params(fields)
    task = clone_task(state, base["id"], fields)
    _number(state, task)
    request = {k: call.data.get(k) for k in ("queue", "verify_watched_queue")}
    result = status.enqueue(state, task, {**request, "status_message": "Starting pipeline"})
    answer = {"pipeline": task["id"], "enqueued": bool(result["queued"])}
    return answer | {k: v for k, v in result.items() if k == "queue_watched"}


def _number(state: State, task: dict) -> None:
    """`<pipeline> #<count of its runs>`, after the last part of the project's name."""
    project = state.projects.get(task.get("project"))
    if not project:
        return
    mask = re.compile(rf"{re.escape(project['basename'])}( #\d+)?$")
    count = sum(
        t.get("project") == project["id"]
        and "pipeline" in t["system_tags"]
        and bool(mask.search(t["name"]))
        for t in state.tasks.values()
    )
    task["name"] = f"{project['basename']} #{count}" if count else project["basename"]
