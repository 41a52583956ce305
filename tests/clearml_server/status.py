"""The task state machine: which status may follow which, and what changes with it."""

from __future__ import annotations

from datetime import datetime, timezone

from .errors import ApiError
from .queues import push, queue_of, remove_everywhere
from .state import USER, USER_NAME, State, now, parse_time
from .workers import is_watched

NEXT = {
    "created": {"queued", "in_progress"},
    "queued": {"created", "in_progress", "stopped"},
    "in_progress": {"stopped", "failed", "created", "completed"},
    "stopped": {
        *("closed", "created", "failed", "queued", "in_progress"),
        *("published", "publishing", "completed"),
    },
    "closed": {"created", "failed", "published", "publishing", "stopped"},
    "failed": {"created", "stopped", "published", "queued"},
    "publishing": {"published"},
    "published": set(),
    "completed": {"published", "in_progress", "created"},
}
WORKER_TIMEOUT = 600  # seconds without a report after which nobody is thought to run the task


def change(
    state: State,
    task: dict,
    status: str,
    reason: str = "",
    message: str = "",
    force: bool = False,
    **fields,
) -> dict:
    """Move the task to `status`; a field that is None is removed. The answer of the endpoints."""
    if not force and status != task["status"] and status not in NEXT[task["status"]]:
        raise ApiError(
            "invalid_task_status",
            "Invalid status change",
            current_status=task["status"],
            new_status=status,
        )
    moment = now()
    changes = dict(
        status=status,
        status_reason=reason,
        status_message=message,
        status_changed=moment,
        last_update=moment,
        last_change=moment,
        last_changed_by=USER,
        **fields,
    )
    for key, value in changes.items():
        if value is None:
            task.pop(key, None)
        else:
            task[key] = value
    if status == "queued":
        task["system_tags"] = [t for t in task["system_tags"] if t != "development"]
    state.touch_project(task.get("project"))
    return {"updated": 1, "fields": changes}


def unset(task: dict, *names: str) -> None:
    for name in names:
        task.pop(name, None)


def enqueue(state: State, task: dict, request: dict) -> dict:
    queue_id, name = request.get("queue"), request.get("queue_name")
    if queue_id and name:
        raise ApiError("validation_error", "Either queue id or queue name should be provided")
    queue = queue_of(state, queue_id, name)
    status = before = task["status"]
    if before == "queued":
        before = task.get("enqueue_status", before)
    result = change(
        state,
        task,
        "queued",
        request.get("status_reason", ""),
        request.get("status_message", ""),
        request.get("force", False),
        enqueue_status=before,
    )
    try:
        push(queue, task["id"])
    except ApiError:
        change(state, task, status, "failed enqueueing", force=True, enqueue_status=None)
        raise
    task["execution"] = {**task["execution"], "queue": queue["id"]}
    result["fields"]["execution.queue"] = queue["id"]
    remove_everywhere(state, task["id"], but=queue["id"])
    if request.get("verify_watched_queue"):
        result["queue_watched"] = is_watched(state, queue["id"])
    return {"queued": 1, **result}


def dequeue(state: State, task: dict, request: dict) -> dict:
    remove_everywhere(state, task["id"])
    if task["status"] not in ("queued", "in_progress"):
        return {"updated": 0}
    return change(
        state,
        task,
        request.get("new_status") or task.get("enqueue_status") or "created",
        request.get("status_reason", ""),
        request.get("status_message", ""),
        force=True,
        enqueue_status=None,
    )


def stop(state: State, task: dict, request: dict) -> dict:
    """Stop at once what nobody runs; ask the agent to stop what it runs (message `stopping`)."""
    reason = request.get("status_reason", "")
    if request.get("include_pipeline_steps") and task["type"] == "controller":
        for step in [t for t in state.tasks.values() if t.get("parent") == task["id"]]:
            stop(state, step, {"force": True, "status_reason": reason})
    status, message = "stopped", f"Stopped by {USER_NAME}"
    if task["status"] == "queued":
        remove_everywhere(state, task["id"])
    elif "development" not in task["system_tags"] and _is_run_by_worker(task):
        status, message = task["status"], "stopping"
    return change(state, task, status, reason, message, request.get("force", False))


def _is_run_by_worker(task: dict) -> bool:
    if not task.get("last_worker"):
        return False
    age = datetime.now(timezone.utc) - parse_time(task["last_update"])
    return age.total_seconds() < WORKER_TIMEOUT
