"""What the server remembers, and the few helpers that every service needs."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .errors import ApiError

API_VERSION = "2.34"
SERVER_VERSION = "2.3.0"
COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"
USER, USER_NAME = "__tests__", "tests"
MIN_NAME = 3  # characters; shorter names are refused by the real server's database models


@dataclass
class Call:
    """One request: `batch` holds the lines of a json-lines body, `version` is a tuple."""

    name: str
    version: tuple[int, ...]
    data: dict
    batch: list[dict] | None = None
    worker: str = "<unknown>"

    def need(self, *names: str) -> tuple:
        """The values of required fields."""
        missing = [n for n in names if self.data.get(n) in (None, [])]
        if missing:
            message = f"error for field '{missing[0]}'. field is required!"
            raise ApiError("validation_error", message)
        return tuple(self.data[n] for n in names)

    def one(self, name: str):
        return self.need(name)[0]


@dataclass
class State:
    """Collections by name, documents by id; every API call holds `lock` from start to answer."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    tasks: dict[str, dict] = field(default_factory=dict)
    projects: dict[str, dict] = field(default_factory=dict)
    models: dict[str, dict] = field(default_factory=dict)
    queues: dict[str, dict] = field(default_factory=dict)
    users: dict[str, dict] = field(default_factory=dict)
    workers: dict[str, dict] = field(default_factory=dict)
    events: dict[str, dict[str, dict]] = field(default_factory=dict)  # task -> type -> id
    scrolls: dict[str, object] = field(default_factory=dict)

    def get(self, collection: str, id_: str) -> dict:
        """A document that must exist."""
        found = getattr(self, collection).get(id_)
        if found is None:
            raise ApiError(f"invalid_{collection[:-1]}_id", id=id_, company=COMPANY)
        return found

    def touch_project(self, id_: str | None) -> None:
        if id_ in self.projects:
            self.projects[id_]["last_update"] = now()

    def editable(self, task_id: str, force: bool = True, any_status: bool = False) -> dict:
        """A task that is a draft, or with `force` one that is queued or runs."""
        task = self.get("tasks", task_id)
        allowed = ("created", "queued", "in_progress") if force else ("created",)
        if not any_status and task["status"] not in allowed:
            raise ApiError("invalid_task_status", expected="created", status=task["status"])
        return task


ENDPOINTS: dict[str, object] = {}


def endpoint(name: str):
    """Register `function(state, call) -> dict` as the endpoint `service.action`."""

    def register(function):
        ENDPOINTS[name] = function
        return function

    return register


def run_batch(call: Call, operation) -> dict:
    """Apply `operation(id) -> dict` to every id of a `*_many` request, as its two lists."""
    succeeded, failed = [], []
    for id_ in call.one("ids"):
        try:
            succeeded.append({"id": id_, **operation(id_)})
        except ApiError as error:
            failed.append({"id": id_, "error": _error_item(error)})
    return {"succeeded": succeeded, "failed": failed}


def _error_item(error: ApiError) -> dict:
    return {"codes": [error.code, error.subcode], "msg": str(error), "data": error.data}


def now() -> str:
    """The time with millisecond precision, which is what the real server's database keeps.

    One fixed format, so that comparing the strings compares the times.
    """
    return iso(datetime.now(timezone.utc))


def iso(moment: datetime) -> str:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    text = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text[:-3] + "000+00:00"


def parse_time(text: str) -> datetime:
    """A time as clients write it: `Z` or an offset or none (UTC), a space or a `T`."""
    moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def millis() -> int:
    return int(time.time() * 1000)


def new_id() -> str:
    return uuid.uuid4().hex


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def touch(document: dict, update: bool = True) -> dict:
    """Every edit moves `last_change`; an edit of what a run depends on also `last_update`."""
    moment = now()
    changes = {"last_change": moment, "last_changed_by": USER}
    if update:
        changes["last_update"] = moment
    document.update(changes)
    return changes


def check_name(name, what: str = "name") -> str:
    name = str(name).strip()
    if len(name) < MIN_NAME:
        raise ApiError("data_validation_error", **{what: "String value is too short"})
    return name


def check_tags(fields: dict) -> None:
    """Tags are stored sorted; the query operators can't be tags."""
    for key in ("tags", "system_tags"):
        if fields.get(key):
            bad = [t for t in fields[key] if t.startswith("__$")]
            if bad:
                raise ApiError("fields_value_error", "unsupported tag prefix", values=bad)
            fields[key] = sorted(set(fields[key]))


# Keys of hyperparameters, configurations and metadata are stored escaped, because the real
# database does not take dots and dollars in keys. It shows: a name that is escaped twice on its
# way (pipelines.start_pipeline does that) comes back different.
_ESCAPES = ((".", "%2E"), ("$", "%24"), ("__", "%_%_"))


def escape(key: str) -> str:
    key = key.strip()
    if not key:
        raise ApiError("validation_error", "Empty key is not allowed")
    key = key.replace("%", "%%")
    for plain, escaped in _ESCAPES:
        key = key.replace(plain, escaped)
    return "%_" + key[1:] if key.startswith("_") else key


def unescape(key: str) -> str:
    parts = key.split("%%")
    for plain, escaped in _ESCAPES:
        parts = [p.replace(escaped, plain) for p in parts]
    key = "%".join(parts)
    return "_" + key[2:] if key.startswith("%_") else key


def escape_keys(data: dict | None) -> dict:
    return {escape(k): v for k, v in (data or {}).items()}


def unescape_keys(data: dict) -> dict:
    return {unescape(k): v for k, v in data.items()}
