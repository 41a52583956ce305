"""models.*: what tasks made and use, by URI."""

from __future__ import annotations

from .errors import ApiError
from .projects import with_children
from .query import MODELS, find
from .state import (
    COMPANY,
    USER,
    Call,
    State,
    check_name,
    check_tags,
    endpoint,
    escape,
    escape_keys,
    new_id,
    now,
    run_batch,
    touch,
    unescape_keys,
)
from .tasks import publish

FIELDS = (
    *("name", "tags", "system_tags", "task", "comment", "uri", "project", "parent"),
    *("framework", "design", "labels", "ready", "metadata"),
)
DATED = {"uri", "framework", "design", "labels", "ready", "metadata", "system_tags", "tags"}


def _read(state: State, call: Call) -> dict:
    fields = {k: call.data[k] for k in FIELDS if call.data.get(k) is not None}
    if str(fields.get("task", "")).startswith("__DELETED__"):
        del fields["task"]
    check_tags(fields)
    if "name" in fields:
        fields["name"] = check_name(fields["name"])
    if "task" in fields:
        state.get("tasks", fields["task"])
    if "project" in fields and fields["project"] not in state.projects:
        raise ApiError("validation_error", "Invalid project ids", project=fields["project"])
    bad = [v for v in fields.get("labels", {}).values() if not isinstance(v, int)]
    if bad:
        raise ApiError("validation_error", "labels values must be integers", values=bad)
    if "metadata" in fields:
        fields["metadata"] = _metadata(fields["metadata"])
    return fields


def _metadata(items) -> dict:
    """Clients send a dict or a list of items with keys."""
    if isinstance(items, dict):
        return escape_keys(items)
    return {escape(item["key"]): item for item in items}


@endpoint("models.create")
def create(state: State, call: Call) -> dict:
    call.need("name", "uri")
    fields, moment = _read(state, call), now()
    model = {
        "id": new_id(),
        "user": USER,
        "company": COMPANY,
        "created": moment,
        "last_update": moment,
        "last_change": moment,
        "last_changed_by": USER,
        "uri": "",
        "ready": True,
        "tags": [],
        "system_tags": [],
        "design": {},
        "labels": {},
        "metadata": {},
        "last_iteration": 0,
        "last_metrics": {},
        "unique_metrics": [],
        **fields,
    }
    state.models[model["id"]] = model
    return {"id": model["id"], "created": True}


def _present(model: dict, call: Call) -> dict:
    if call.version <= (2, 16) and "metadata" in model:
        return {**model, "metadata": []}  # a list is what such old clients expect
    if model.get("metadata"):
        return {**model, "metadata": unescape_keys(model["metadata"])}
    return model


@endpoint("models.edit")
def edit(state: State, call: Call) -> dict:
    model = state.get("models", call.one("model"))
    fields = _read(state, call)
    task = state.tasks.get(model.get("task") or fields.get("task"))
    if task and call.data.get("iteration") is not None:
        task["last_iteration"] = max(task["last_iteration"], call.data["iteration"])
    if not fields:
        return {"updated": 0}
    model.update(fields)
    touched = touch(model, update=bool(DATED & set(fields)))
    return {"updated": 1, "fields": {**_present(fields, call), **touched}}


@endpoint("models.get_by_id")
def get_by_id(state: State, call: Call) -> dict:
    id_ = call.one("model")
    found = find(state, MODELS, {**call.data, "id": [id_]})
    if not found:
        message = "no such public or company model"
        raise ApiError("invalid_model_id", message, id=id_, company=COMPANY)
    return {"model": _present(found[0], call)}


@endpoint("models.get_all")
def get_all(state: State, call: Call) -> dict:
    query = dict(call.data)
    with_children(state, query)
    return {"models": [_present(m, call) for m in find(state, MODELS, query)]}


@endpoint("models.set_ready")
def set_ready(state: State, call: Call) -> dict:
    model, published = state.get("models", call.one("model")), {}
    if model["ready"]:
        raise ApiError("model_is_ready", company=COMPANY, model=model["id"])
    task = state.tasks.get(model.get("task"))
    if task and call.data.get("publish_task", True) and task["status"] != "published":
        force = call.data.get("force_publish_task", False)
        request = Call("tasks.publish", call.version, {"task": task["id"], "force": force})
        published = {"published_task": {"id": task["id"], "data": publish(state, request)}}
    model["ready"] = True
    touch(model)
    return {"updated": 1, **published}


@endpoint("models.delete")
def delete(state: State, call: Call) -> dict:
    model = state.get("models", call.one("model"))
    tasks = state.tasks.values()
    using = [t for t in tasks if any(m["model"] == model["id"] for m in t["models"]["input"])]
    if using:
        if not call.data.get("force"):
            message = "as execution model, use force=True to delete"
            raise ApiError("model_in_use", message, num_tasks=len(using))
        raise ApiError("not_implemented", "deleting a model in use")
    task = state.tasks.get(model.get("task"))
    if task:
        kept = [m for m in task["models"]["output"] if m["model"] != model["id"]]
        task["models"] = {**task["models"], "output": kept}
    del state.models[model["id"]]
    return {"deleted": True, "url": model["uri"]}


def _archive(state: State, id_: str, archive: bool) -> dict:
    model = state.get("models", id_)
    tags = set(model["system_tags"]) - {"archived"}
    model["system_tags"] = sorted(tags | ({"archived"} if archive else set()))
    touch(model, update=False)
    return {"archived" if archive else "unarchived": True}


@endpoint("models.archive_many")
def archive_many(state: State, call: Call) -> dict:
    return run_batch(call, lambda i: _archive(state, i, True))


@endpoint("models.unarchive_many")
def unarchive_many(state: State, call: Call) -> dict:
    return run_batch(call, lambda i: _archive(state, i, False))


@endpoint("models.add_or_update_metadata")
def add_or_update_metadata(state: State, call: Call) -> dict:
    model = state.get("models", call.one("model"))
    items = call.one("metadata")
    if any(not isinstance(item.get(k), str) for item in items for k in ("key", "type", "value")):
        raise ApiError("validation_error", "error for field 'metadata'")
    old = {} if call.data.get("replace_metadata") else model["metadata"]
    model["metadata"] = {**old, **_metadata(items)}
    touch(model)
    return {"updated": 1}
