"""Errors as the real API server answers them: HTTP status, subcode and message."""

from __future__ import annotations

CODES = {
    "invalid_id": (400, 10, "Invalid object id"),
    "validation_error": (400, 12, "Validation error"),
    "invalid_fields": (400, 14, "Fields not defined for object"),
    "fields_value_error": (400, 16, "Invalid value for fields"),
    "batch_contains_no_items": (400, 17, "Batch request contains no items"),
    "invalid_regex_error": (400, 21, "Malformed regular expression"),
    "invalid_task_id": (400, 101, "Invalid task id"),
    "invalid_task_status": (400, 110, "Invalid task status"),
    "task_cannot_be_deleted": (400, 123, "Task cannot be deleted"),
    "events_not_added": (400, 131, "Events not added"),
    "invalid_model_id": (400, 201, "Invalid model id"),
    "model_is_ready": (400, 203, "Model is ready"),
    "model_in_use": (400, 205, "Model is used by tasks"),
    "invalid_project_id": (400, 401, "Invalid project id"),
    "invalid_project_name": (400, 407, "Invalid project name"),
    "cannot_update_project_location": (
        *(400, 408),
        "Cannot update project location. use projects.move instead",
    ),
    "invalid_queue_id": (400, 701, "Invalid queue id"),
    "invalid_queue_or_task_not_queued": (400, 703, "Invalid queue id or task not in queue"),
    "task_already_queued": (400, 706, "Failed adding task to queue since task is already queued"),
    "no_default_queue": (400, 707, "No queue is tagged as the default queue for this company"),
    "data_validation_error": (400, 800, "Data validation error"),
    "expected_unique_data": (
        *(400, 801),
        "Value combination already exists (unique field already contains this value)",
    ),
    "no_credentials": (401, 20, "Unauthorized (missing credentials)"),
    "invalid_credentials": (401, 22, "Unauthorized (invalid credentials)"),
    "invalid_token": (401, 30, "Invalid token"),
    "unknown_endpoint": (404, 0, "Unable to find endpoint for name"),
    # the real server's code for an action that it lacks; here for what only the real one has
    "not_implemented": (500, 9999, "Action is not yet implemented"),
}


class ApiError(Exception):
    """An answer other than 200; the text has the real server's form `message (extra): k=v`."""

    def __init__(self, code: str, extra: str = "", /, replace: str = "", **data):
        self.code, self.subcode, message = CODES[code]
        message = replace or message
        if extra:
            message += f" ({extra})"
        if data:
            message += ": " + ", ".join(f"{k}={_text(v)}" for k, v in data.items())
        super().__init__(message)


def _text(value) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, (list, tuple)) else str(value)
