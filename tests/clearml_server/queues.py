"""queues.*: named lists of task ids that agents take from."""

from __future__ import annotations

from .errors import ApiError
from .query import QUEUES, find
from .state import COMPANY, Call, State, check_name, check_tags, endpoint, new_id, now

HIDDEN = "k8s-glue"  # queues with this system tag are left out unless asked for by id or name


def create_queue(state: State, name: str, **fields) -> dict:
    name = check_name(name)
    if any(q["name"] == name for q in state.queues.values()):
        raise ApiError("expected_unique_data", name=name, company=COMPANY)
    check_tags(fields)
    moment = now()
    queue = {
        "id": new_id(),
        "name": name,
        "company": COMPANY,
        "created": moment,
        "last_update": moment,
        "tags": [],
        "system_tags": [],
        "entries": [],
        "metadata": {},
        **fields,
    }
    state.queues[queue["id"]] = queue
    return queue


def queue_of(state: State, id_: str | None, name: str | None) -> dict:
    """By id, by name (made if it does not exist, as the real server does), or the default one."""
    if id_:
        return state.get("queues", id_)
    found = [q for q in state.queues.values() if (not name) or q["name"] == name]
    if name:
        return found[0] if found else create_queue(state, name)
    default = next((q for q in found if "default" in q["system_tags"]), None)
    if not default:
        raise ApiError("no_default_queue")
    return default


def push(queue: dict, task_id: str) -> None:
    if any(e["task"] == task_id for e in queue["entries"]):
        raise ApiError("task_already_queued", task=task_id)
    queue["entries"].append({"task": task_id, "added": now()})
    queue["last_update"] = now()


def remove_everywhere(state: State, task_id: str, but: str | None = None) -> None:
    for queue in state.queues.values():
        if queue["id"] != but:
            queue["entries"] = [e for e in queue["entries"] if e["task"] != task_id]


@endpoint("queues.create")
def create(state: State, call: Call) -> dict:
    names = ("display_name", "tags", "system_tags")
    fields = {k: call.data[k] for k in names if call.data.get(k) is not None}
    return {"id": create_queue(state, call.one("name"), **fields)["id"]}


@endpoint("queues.get_by_id")
def get_by_id(state: State, call: Call) -> dict:
    return {"queue": state.get("queues", call.one("queue"))}


@endpoint("queues.get_all")
def get_all(state: State, call: Call) -> dict:
    shown = any(call.data.get(k) for k in ("search_hidden", "id", "name"))
    found = find(state, QUEUES, call.data, lambda q: shown or HIDDEN not in q["system_tags"])
    return {"queues": found}


@endpoint("queues.add_task")
def add_task(state: State, call: Call) -> dict:
    queue_id, task_id = call.need("queue", "task")
    push(state.get("queues", queue_id), task_id)
    task = state.tasks.get(task_id)
    if task and call.data.get("update_execution_queue", True):
        task["execution"] = {**task["execution"], "queue": queue_id}
    return {"added": 1}


@endpoint("queues.remove_task")
def remove_task(state: State, call: Call) -> dict:
    """The task keeps its status `queued`: tasks.dequeue is the call that gives it back."""
    queue_id, task_id = call.need("queue", "task")
    queue = state.queues.get(queue_id)
    if not queue or all(e["task"] != task_id for e in queue["entries"]):
        raise ApiError(
            "invalid_queue_or_task_not_queued", task=task_id, id=queue_id, company=COMPANY
        )
    if call.data.get("update_task_status"):
        raise ApiError("not_implemented", "update_task_status")
    queue["entries"] = [e for e in queue["entries"] if e["task"] != task_id]
    return {"removed": 1}


@endpoint("queues.get_next_task")
def get_next_task(state: State, call: Call) -> dict:
    queue = state.get("queues", call.one("queue"))
    if not queue["entries"]:
        return {}
    entry = queue["entries"].pop(0)
    queue["last_update"] = now()
    task = state.tasks.get(entry["task"])
    if not task:
        return {"entry": entry}
    if task["status"] == "stopped":
        task["status"] = "queued"  # an agent may stop a task that was enqueued again meanwhile
    info = {"task_info": {"company": task["company"], "user": task["user"]}}
    return {"entry": entry, **(info if call.data.get("get_task_info") else {})}


@endpoint("queues.get_num_entries")
def get_num_entries(state: State, call: Call) -> dict:
    return {"num": len(state.get("queues", call.one("queue"))["entries"])}
