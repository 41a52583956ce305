"""tasks.*: hyperparameters, configuration objects and artifacts of a task."""

from __future__ import annotations

from .errors import ApiError
from .state import Call, State, endpoint, escape, escape_keys, md5, touch, unescape, unescape_keys

PROPERTIES = "properties"  # the one section that may be edited whatever the task's status


def prepare_params(fields: dict) -> None:
    """Escape the keys of hyperparameters and configuration before they are kept."""
    if "hyperparams" in fields:
        fields["hyperparams"] = {
            escape(section): {escape(k): v for k, v in items.items()}
            for section, items in fields["hyperparams"].items()
        }
    if "configuration" in fields:
        fields["configuration"] = escape_keys(fields["configuration"])


def check_texts(hyperparams: dict) -> None:
    """Asked of a new task only: an edit stores any value, as on the real server."""
    for section in hyperparams.values():
        for item in section.values():
            _checked(item)


def _checked(item: dict, required=("section", "name", "value")) -> dict:
    """Values are text: the database has no other type for them."""
    for key in required:
        if not isinstance(item.get(key), str):
            raise ApiError("validation_error", f"error for field '{key}': a string is required")
    names = ("section", "name", "value", "type", "description")
    return {k: item[k] for k in names if item.get(k) is not None}


def present_params(task: dict) -> dict:
    task = dict(task)
    for key in ("hyperparams", "configuration"):
        if task.get(key):
            task[key] = {
                unescape(k): unescape_keys(v) if isinstance(v, dict) else v
                for k, v in task[key].items()
            }
    return task


def escape_query(data: dict) -> dict:
    """Paths into hyperparameters, whose keys the client half escaped, in the kept form."""

    def path(name: str) -> str:
        minus, name = ("-", name[1:]) if name.startswith("-") else ("", name)
        if not name.startswith(("hyperparams.", "configuration.")):
            return minus + name
        parts = name.split(".")
        if len(parts) > 4:
            raise ApiError("validation_error", "invalid task field", path=name)
        return minus + ".".join(escape(unescape(p)) for p in parts)

    query = {path(k): v for k, v in data.items()}
    for key in ("only_fields", "projection", "order_by"):
        if query.get(key):
            names = query[key]
            query[key] = [path(n) for n in ([names] if isinstance(names, str) else names)]
    return query


def _task(state: State, call: Call, any_status: bool = False) -> dict:
    return state.editable(call.one("task"), call.data.get("force", False), any_status)


def _save(task: dict, key: str, value: dict, update: bool = True) -> int:
    task[key] = value
    touch(task, update)
    return 1


def _normalised(items: list[dict]) -> bool:
    """Whether all are of the section `properties`, which is spelt in lower case."""
    for item in items:
        if str(item.get("section") or "").lower() == PROPERTIES:
            item["section"] = PROPERTIES
        if not item.get("section"):
            raise ApiError("validation_error", "section: field is required")
    return all(item["section"] == PROPERTIES for item in items)


@endpoint("tasks.get_hyper_params")
def get_hyper_params(state: State, call: Call) -> dict:
    def items(task_id: str) -> list[dict]:
        sections = state.get("tasks", task_id)["hyperparams"].values()
        found = [item for section in sections for item in section.values()]
        return sorted(found, key=lambda i: (i["section"], i["name"]))

    return {"params": [{"task": i, "hyperparams": items(i)} for i in call.one("tasks")]}


@endpoint("tasks.edit_hyper_params")
def edit_hyper_params(state: State, call: Call) -> dict:
    items = [dict(i) for i in call.one("hyperparams")]
    properties = _normalised(items)
    task = _task(state, call, any_status=properties)
    sections: dict[str, dict] = {}
    for item in items:
        section = sections.setdefault(escape(item["section"]), {})
        section[escape(item.get("name") or "")] = _checked(item)
    replace = call.data.get("replace_hyperparams") or "none"
    old = {} if replace == "all" else dict(task["hyperparams"])
    for name, section in sections.items():
        kept = old.get(name, {}) if replace == "none" else {}
        old[name] = {**kept, **section}
    return {"updated": _save(task, "hyperparams", old, update=not properties)}


@endpoint("tasks.delete_hyper_params")
def delete_hyper_params(state: State, call: Call) -> dict:
    items = [dict(i) for i in call.one("hyperparams")]
    properties = _normalised(items)
    task = _task(state, call, any_status=properties)
    kept = {name: dict(section) for name, section in task["hyperparams"].items()}
    for item in items:
        section = escape(item["section"])
        if item.get("name"):
            kept.get(section, {}).pop(escape(item["name"]), None)
        else:
            kept.pop(section, None)
    return {"deleted": _save(task, "hyperparams", kept, update=not properties)}


@endpoint("tasks.edit_configuration")
def edit_configuration(state: State, call: Call) -> dict:
    task = _task(state, call)
    items = call.one("configuration")
    new = {escape(i.get("name") or ""): _checked(i, ("name", "value")) for i in items}
    old = {} if call.data.get("replace_configuration") else task["configuration"]
    return {"updated": _save(task, "configuration", {**old, **new})}


@endpoint("tasks.delete_configuration")
def delete_configuration(state: State, call: Call) -> dict:
    task = _task(state, call)
    gone = {escape(n) for n in call.one("configuration")}
    kept = {k: v for k, v in task["configuration"].items() if k not in gone}
    return {"deleted": _save(task, "configuration", kept)}


def artifact_id(artifact: dict) -> str:
    return f"{md5(artifact['key'])}_{artifact.get('mode', 'output')}"


def _artifacts(state: State, call: Call, change) -> int:
    task = state.editable(call.one("task"))
    artifacts = change(task["execution"].get("artifacts", {}))
    return _save(task, "execution", {**task["execution"], "artifacts": artifacts})


@endpoint("tasks.add_or_update_artifacts")
def add_or_update_artifacts(state: State, call: Call) -> dict:
    defaults = {"mode": "output", "display_data": []}
    new = {artifact_id(a): {**defaults, **a} for a in call.one("artifacts")}
    return {"updated": _artifacts(state, call, lambda old: {**old, **new})}


@endpoint("tasks.delete_artifacts")
def delete_artifacts(state: State, call: Call) -> dict:
    gone = {artifact_id(a) for a in call.one("artifacts")}
    keep = lambda old: {k: a for k, a in old.items() if k not in gone}  # noqa: E731
    return {"deleted": _artifacts(state, call, keep)}
