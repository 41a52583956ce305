"""tasks.*: create, query, edit, and the calls that move a task through its states."""

from __future__ import annotations

import copy

from . import status
from .errors import ApiError
from .params import artifact_id, check_texts, escape_query, prepare_params, present_params
from .projects import find_or_create, with_children
from .query import TASKS, find
from .state import (
    COMPANY,
    USER,
    Call,
    State,
    check_name,
    check_tags,
    endpoint,
    escape_keys,
    new_id,
    now,
    touch,
    unescape_keys,
)

TYPES = {
    *("training", "testing", "inference", "data_processing", "application", "monitor"),
    *("controller", "report", "optimizer", "service", "qc", "custom"),
}
FIELDS = (  # what a client may set when it creates or edits a task
    *("name", "tags", "system_tags", "type", "comment", "parent", "project", "models"),
    *("container", "execution", "hyperparams", "configuration", "script", "runtime"),
)
ANY_TIME = {"name", "comment", "project", "tags", "system_tags"}
MERGED = ("execution", "script", "models", "output")  # edits of these change the named keys only
STRIPPED = ("binary", "repository", "tag", "branch", "version_num", "entry_point", "working_dir")


def new_task(state: State, fields: dict) -> dict:
    moment = now()
    task = {
        "id": new_id(),
        "user": USER,
        "company": COMPANY,
        "status": "created",
        "created": moment,
        "last_update": moment,
        "last_change": moment,
        "last_changed_by": USER,
        "last_iteration": 0,
        "tags": [],
        "system_tags": [],
        "output": {},
        "script": {"binary": "python", "repository": "", "entry_point": "", "requirements": {}},
        "execution": {
            "test_split": 0,
            "parameters": {},
            "model_desc": {},
            "model_labels": {},
            "artifacts": {},
        },
        "report_assets": [],
        "hyperparams": {},
        "configuration": {},
        "runtime": {},
        "container": {},
        "models": {"input": [], "output": []},
        "last_metrics": {},
        "metric_stats": {},
        "unique_metrics": [],
    }
    for key, value in fields.items():
        task[key] = {**task[key], **value} if key in MERGED else value
    state.tasks[task["id"]] = task
    state.touch_project(task.get("project"))
    return task


def read_fields(state: State, call: Call) -> dict:
    """The fields of a create or edit request, checked and in the form in which they are kept."""
    data = copy.deepcopy(call.data)
    fields = {k: data[k] for k in FIELDS if data.get(k) is not None}
    for key in ("container", "hyperparams", "configuration", "runtime"):
        if not isinstance(fields.get(key, {}), dict):
            raise ApiError("fields_value_error", "expecting dict", field=key)
    for key, collection in (("project", "projects"), ("parent", "tasks")):
        known = getattr(state, collection)
        if key in fields and fields[key] not in known:
            message = f"expecting {collection[:-1].capitalize()} id"
            raise ApiError("fields_value_error", message, id=fields[key], field=key)
    if "name" in fields:
        fields["name"] = check_name(fields["name"])
    if fields.get("type", "custom") not in TYPES:
        raise ApiError("validation_error", f"value '{fields['type']}' is not a task type")
    if data.get("output_dest") is not None:
        fields["output"] = {"destination": data["output_dest"]}
    check_tags(fields)
    prepare_params(fields)
    execution, script = fields.get("execution", {}), fields.get("script", {})
    if execution.get("artifacts") is not None:
        execution["artifacts"] = {artifact_id(a): a for a in execution["artifacts"]}
    if execution.get("model_labels"):
        execution["model_labels"] = escape_keys(execution["model_labels"])
    if "container" in fields:
        fields["container"] = escape_keys(fields["container"])
    for key in STRIPPED:
        if isinstance(script.get(key), str):
            script[key] = script[key].strip()
    for kind, items in fields.get("models", {}).items():
        for item in items:
            item["updated"] = now()
            if kind == "input" and item["model"] not in state.models:
                raise ApiError("invalid_model_id", models=[item["model"]])
    return fields


def present(task: dict) -> dict:
    """A projected task as clients see it: keys unescaped, artifacts a list."""
    task = present_params(task)
    if task.get("container"):
        task["container"] = unescape_keys(task["container"])
    if task.get("execution"):
        execution = task["execution"] = dict(task["execution"])
        if execution.get("artifacts") is not None:
            artifacts = execution["artifacts"].values()
            execution["artifacts"] = sorted(artifacts, key=lambda a: a["key"])
        if execution.get("model_labels"):
            execution["model_labels"] = unescape_keys(execution["model_labels"])
    return task


@endpoint("tasks.get_by_id")
def get_by_id(state: State, call: Call) -> dict:
    found = find(state, TASKS, {"id": [call.one("task")]})
    if not found:
        raise ApiError("invalid_task_id", ids=[call.one("task")])
    return {"task": {**present(found[0]), "unique_metrics": []}}


@endpoint("tasks.get_all")
def get_all(state: State, call: Call) -> dict:
    query = escape_query(call.data)
    with_children(state, query)
    # hidden tasks are found by id, or when asked for
    hidden = query.get("search_hidden") or query.get("id")
    found = find(state, TASKS, query, lambda t: hidden or "hidden" not in t["system_tags"])
    return {"tasks": [present(task) for task in found]}


@endpoint("tasks.create")
def create(state: State, call: Call) -> dict:
    call.need("name", "type")
    check_texts(call.data.get("hyperparams") or {})
    return {"id": new_task(state, read_fields(state, call))["id"]}


@endpoint("tasks.edit")
def edit(state: State, call: Call) -> dict:
    task = state.get("tasks", call.one("task"))
    if not call.data.get("force") and task["status"] != "created":
        raise ApiError("invalid_task_status", expected="created", status=task["status"])
    fields = read_fields(state, call)
    if call.data.get("status") is not None:
        fields["status"] = call.data["status"]
    for key in set(MERGED) & set(fields):
        fields[key] = {**task[key], **fields[key]}
    if not fields:
        return {"updated": 0}
    task.update(fields)
    touched = touch(task, update=not set(fields) <= ANY_TIME)
    state.touch_project(task.get("project"))
    return {"updated": 1, "fields": {**present(fields), **touched}}


@endpoint("tasks.update")
def update(state: State, call: Call) -> dict:
    """Only what may change at any time: name, comment, project, tags, status message."""
    task = state.get("tasks", call.one("task"))
    fields = {k: v for k, v in read_fields(state, call).items() if k in ANY_TIME}
    if call.data.get("status_message") is not None:
        fields["status_message"] = call.data["status_message"]
    if not fields:
        return {"updated": 0}
    task.update(fields)
    return {"updated": 1, "fields": {**fields, **touch(task, update=False)}}


@endpoint("tasks.set_requirements")
def set_requirements(state: State, call: Call) -> dict:
    task_id, requirements = call.need("task", "requirements")
    task = state.get("tasks", task_id)
    task["script"] = {**task["script"], "requirements": requirements}
    touch(task)
    return {"updated": 1, "fields": {}}


@endpoint("tasks.ping")
def ping(state: State, call: Call) -> dict:
    if call.one("task") in state.tasks:
        touch(state.tasks[call.one("task")])
    return {}


@endpoint("tasks.clone")
def clone(state: State, call: Call) -> dict:
    if call.data.get("execution_overrides") or call.data.get("new_task_input_models"):
        raise ApiError("not_implemented", "execution_overrides, new_task_input_models")
    names = (
        *("name", "comment", "parent", "project", "tags", "system_tags"),
        *("hyperparams", "configuration", "container"),
    )
    fields = {k: call.data[f"new_task_{k}"] for k in names if call.data.get(f"new_task_{k}")}
    if not fields.get("project") and call.data.get("new_project_name"):
        fields["project"] = find_or_create(state, call.data["new_project_name"])["id"]
    prepare_params(fields)
    return {"id": clone_task(state, call.one("task"), fields)["id"]}


def clone_task(state: State, task_id: str, fields: dict) -> dict:
    """A draft with the inputs of a task and none of its outputs."""
    base = copy.deepcopy(state.get("tasks", task_id))
    if "name" in fields:
        fields["name"] = check_name(fields["name"])
    check_tags(fields)
    kept = ("name", "comment", "project", "tags", "type", "script", "container")
    parent = base.get("parent")
    artifacts = base["execution"].pop("artifacts", {})
    base["execution"].pop("queue", None)
    inputs = {k: a for k, a in artifacts.items() if a.get("mode") == "input"}
    return new_task(
        state,
        {
            **{k: base[k] for k in (*kept, "configuration", "hyperparams") if k in base},
            "system_tags": [t for t in base["system_tags"] if t not in ("development", "archived")],
            "parent": parent if parent in state.tasks else base["id"],
            "models": {"input": base["models"]["input"]},
            "output": {k: v for k, v in base["output"].items() if k == "destination"},
            "execution": {**base["execution"], "artifacts": inputs},
            **fields,
        },
    )


def _requested(call: Call) -> dict:
    return {
        "reason": call.data.get("status_reason", ""),
        "message": call.data.get("status_message", ""),
        "force": call.data.get("force", False),
    }


def _end(state: State, call: Call, new_status: str) -> dict:
    task = state.get("tasks", call.one("task"))
    return status.change(state, task, new_status, **_requested(call), completed=now())


@endpoint("tasks.stopped")
def stopped(state: State, call: Call) -> dict:
    return _end(state, call, "stopped")


@endpoint("tasks.failed")
def failed(state: State, call: Call) -> dict:
    return _end(state, call, "failed")


@endpoint("tasks.completed")
def completed(state: State, call: Call) -> dict:
    result = _end(state, call, "completed")
    if call.data.get("publish"):
        return {**result, "published": publish(state, call)["updated"]}
    return result


@endpoint("tasks.publish")
def publish(state: State, call: Call) -> dict:
    task = state.get("tasks", call.one("task"))
    result = status.change(
        state, task, "published", **_requested(call), published=now(), output=task["output"]
    )
    if task["models"]["output"] and call.data.get("publish_model", True):
        model = state.models.get(task["models"]["output"][-1]["model"])
        if model:
            model["ready"] = True
    return result


@endpoint("tasks.started")
def started(state: State, call: Call) -> dict:
    if call.one("task") not in state.tasks:
        raise ApiError("invalid_id", task=None)
    task = state.tasks[call.one("task")]
    again = task["status"] == "in_progress" and task.get("started")
    fields = {} if again else {"started": now()}
    result = status.change(state, task, "in_progress", **_requested(call), **fields)
    if not again:
        status.unset(task, "completed", "active_duration")
    return {**result, "started": result["updated"]}


@endpoint("tasks.stop")
def stop(state: State, call: Call) -> dict:
    return status.stop(state, state.get("tasks", call.one("task")), call.data)


@endpoint("tasks.enqueue")
def enqueue(state: State, call: Call) -> dict:
    return status.enqueue(state, state.get("tasks", call.one("task")), call.data)


@endpoint("tasks.dequeue")
def dequeue(state: State, call: Call) -> dict:
    task = state.tasks.get(call.one("task"))
    return {"dequeued": 1, **(status.dequeue(state, task, call.data) if task else {"updated": 0})}


@endpoint("tasks.reset")
def reset(state: State, call: Call) -> dict:
    task = state.get("tasks", call.one("task"))
    if not call.data.get("force") and task["status"] == "published":
        raise ApiError("invalid_task_status", task_id=task["id"], status=task["status"])
    status.remove_everywhere(state, task["id"])
    deleted, force = _drop_models(state, task), call.data.get("force", False)
    result = status.change(state, task, "created", "reset", "reset", force)
    status.unset(task, "last_worker", "last_worker_report", "started", "completed", "published")
    status.unset(task, "active_duration", "enqueue_status")
    task.update(last_metrics={}, unique_metrics=[], metric_stats={}, runtime={}, last_iteration=0)
    artifacts = task["execution"].get("artifacts", {}).items()
    task["execution"] = {k: v for k, v in task["execution"].items() if k != "queue"}
    task["execution"]["artifacts"] = {k: a for k, a in artifacts if a.get("mode") == "input"}
    task["models"] = {**task["models"], "output": []}
    state.events.pop(task["id"], None)
    return {**result, "deleted_models": deleted}


@endpoint("tasks.delete")
def delete(state: State, call: Call) -> dict:
    task = state.get("tasks", call.one("task"))
    force = call.data.get("force", False)
    if task["status"] != "created" and "archived" not in task["system_tags"] and not force:
        raise ApiError(
            "task_cannot_be_deleted",
            "due to status, use force=True",
            task=task["id"],
            expected="created",
            current=task["status"],
        )
    status.remove_everywhere(state, task["id"])
    deleted = _drop_models(state, task) if call.data.get("delete_output_models", True) else 0
    children = [t for t in state.tasks.values() if t.get("parent") == task["id"]]
    for child in children:
        child["parent"] = f"__DELETED__{task['id']}"
    del state.tasks[task["id"]]
    state.events.pop(task["id"], None)
    return {"deleted": True, "deleted_models": deleted, "updated_children": len(children)}


def _drop_models(state: State, task: dict) -> int:
    """Delete the models that the task made, unless they are published or another task's input."""
    used = {m["model"] for t in state.tasks.values() for m in t["models"]["input"]}
    made = [m for m in state.models.values() if m.get("task") == task["id"] and not m["ready"]]
    dropped = [m["id"] for m in made if m["id"] not in used]
    for id_ in dropped:
        del state.models[id_]
    return len(dropped)


@endpoint("tasks.add_or_update_model")
def add_or_update_model(state: State, call: Call) -> dict:
    task_id, name, model, kind = call.need("task", "name", "model", "type")
    task = state.editable(task_id)
    items, item = task["models"][kind], {"name": name, "model": model, "updated": now()}
    if any(m["name"] == name for m in items):
        items = [item if m["name"] == name else m for m in items]
    else:
        items = [*items, item]
    task["models"] = {**task["models"], kind: items}
    task["last_iteration"] = max(task["last_iteration"], call.data.get("iteration") or 0)
    touch(task)
    return {"updated": 1}
