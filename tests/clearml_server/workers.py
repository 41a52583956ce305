"""workers.*: the agents that are alive, and what they run."""

from __future__ import annotations

from datetime import datetime, timezone

from .errors import ApiError
from .state import COMPANY, USER, USER_NAME, Call, State, endpoint, now, parse_time

DEFAULT_TIMEOUT = 600  # seconds that a registration lives without a report


def is_watched(state: State, queue_id: str) -> bool:
    return any(queue_id in worker["queues"] for worker in _alive(state))


def _register(state: State, name: str, fields: dict) -> dict:
    unknown = [q for q in fields.get("queues") or () if q not in state.queues]
    if unknown:
        raise ApiError("invalid_queue_id", ids=unknown)
    moment = now()
    worker = {
        "id": name,
        "key": f"worker_{COMPANY}_{USER}_{name}",
        "user": {"id": USER, "name": USER_NAME},
        "company": {"id": COMPANY, "name": "clearml"},
        "ip": "127.0.0.1",
        "queues": fields.get("queues") or [],
        "tags": fields.get("tags") or [],
        "system_tags": fields.get("system_tags") or [],
        "register_time": moment,
        "register_timeout": fields.get("timeout") or DEFAULT_TIMEOUT,
        "last_activity_time": moment,
    }
    state.workers[name] = worker
    return worker


def _age(worker: dict) -> float:
    """Seconds since the last sign of life."""
    age = datetime.now(timezone.utc) - parse_time(worker["last_activity_time"])
    return age.total_seconds()


def _alive(state: State) -> list[dict]:
    return [w for w in state.workers.values() if _age(w) < w["register_timeout"]]


@endpoint("workers.register")
def register(state: State, call: Call) -> dict:
    _register(state, call.one("worker"), call.data)
    return {}


@endpoint("workers.unregister")
def unregister(state: State, call: Call) -> dict:
    state.workers.pop(call.one("worker"), None)
    return {}


@endpoint("workers.status_report")
def status_report(state: State, call: Call) -> dict:
    """A report of a task also marks the task as run by this worker: tasks.stop looks at that."""
    name, moment = call.one("worker"), now()
    worker = state.workers.get(name) or _register(state, name, {})
    worker.update(last_activity_time=moment, last_report_time=moment, task=None, project=None)
    worker["queue"] = call.data.get("queue")
    for key in ("tags", "system_tags", "queues"):
        if call.data.get(key):
            worker[key] = call.data[key]
    if call.data.get("task"):
        task = state.get("tasks", call.data["task"])
        task.update(last_worker=name, last_worker_report=moment, last_update=moment)
        task.update(last_change=moment, last_changed_by=USER)
        worker["task"] = {"id": task["id"], "name": task["name"], "running_time": 0}
        project = state.projects.get(task.get("project"))
        worker["project"] = project and {"id": project["id"], "name": project["name"]}
    return {}


@endpoint("workers.get_all")
def get_all(state: State, call: Call) -> dict:
    def describe(queue_id: str) -> dict:
        queue = state.queues.get(queue_id, {"name": None, "entries": []})
        return {"id": queue_id, "name": queue["name"], "num_tasks": len(queue["entries"])}

    if call.data.get("tags") or call.data.get("system_tags") or call.data.get("worker_pattern"):
        raise ApiError("not_implemented", "workers.get_all by tags or pattern")
    workers = []
    for worker in _alive(state):
        if call.data.get("last_seen") and _age(worker) > call.data["last_seen"]:
            continue
        entry = {**worker, "queues": [describe(q) for q in worker["queues"]]}
        current = worker.get("queue")
        entry["queue"] = describe(current) if current in worker["queues"] else None
        workers.append({k: v for k, v in entry.items() if v is not None})
    return {"workers": workers}
