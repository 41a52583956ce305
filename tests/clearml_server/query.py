"""The generic filter, order, paging and projection behind every `get_all`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from .errors import ApiError
from .state import State, iso, parse_time

MAX_PAGE = 500  # documents; the real server never answers with more
COMPARE = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "": operator.eq,
}


@dataclass(frozen=True)
class Kind:
    """How the fields of a collection are queried; `name.*` stands for every path below `name`.

    Fields that are named nowhere are ignored in a query, as on the real server.
    """

    collection: str
    lists: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ("name",)
    ranges: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    private: tuple[str, ...] = ()  # left out of an answer unless asked for
    fields: tuple[str, ...] = ()  # all others of the documents; `only_fields` must be known


TASKS = Kind(
    "tasks",
    lists=(
        *("id", "user", "tags", "system_tags", "type", "status", "project", "parent"),
        *("hyperparams.*", "execution.queue", "models.input.model"),
    ),
    patterns=("name", "comment", "report"),
    ranges=("created", "started", "active_duration", "last_metrics.*", "last_iteration"),
    dates=("status_changed", "last_update", "last_change"),
    plain=("runtime.*",),
    private=("unique_metrics", "enqueue_status", "company_origin"),
    fields=(
        *("status_reason", "status_message", "completed", "published", "output", "execution"),
        *("script", "last_worker", "last_worker_report", "metric_stats", "duration", "container"),
        *("hyperparams", "configuration", "runtime", "models", "last_changed_by", "company"),
        "report_assets",
    ),
)
PROJECTS = Kind(
    "projects",
    lists=("id", "tags", "system_tags", "parent", "path"),
    patterns=("name", "basename", "description"),
    ranges=("last_update",),
    private=("path", "company_origin", "logo_blob"),
    fields=("created", "default_output_destination", "featured", "logo_url", "company", "user"),
)
MODELS = Kind(
    "models",
    lists=(
        *("id", "tags", "system_tags", "framework", "uri", "user", "project", "task", "parent"),
        "metadata.*",
    ),
    patterns=("name", "comment"),
    ranges=("created", "last_metrics.*", "last_iteration"),
    dates=("last_update", "last_change"),
    plain=("ready",),
    private=("unique_metrics", "ui_cache", "company_origin"),
    fields=("design", "labels", "last_changed_by", "company"),
)
QUEUES = Kind(
    "queues",
    lists=("id", "tags", "system_tags", "metadata.*"),
    fields=("display_name", "company", "created", "entries", "last_update", "resources"),
)
USERS = Kind("users", lists=("id",), fields=("given_name", "family_name", "company", "created"))


def find(state: State, kind: Kind, query: dict, keep: Callable | None = None) -> list[dict]:
    """One page of the documents that match: copies at the top level, projected as asked."""
    checks = _checks(kind, query)
    documents = getattr(state, kind.collection)
    found = [d for d in documents.values() if (not keep or keep(d)) and all(c(d) for c in checks)]
    order = query.get("order_by") or []
    for name in reversed([order] if isinstance(order, str) else order):
        path = name.removeprefix("-")
        filled = [d for d in found if values(d, path)]
        filled.sort(key=lambda d, p=path: values(d, p)[0], reverse=name.startswith("-"))
        found = filled + [d for d in found if not values(d, path)]
    page, size = query.get("page") or 0, query.get("page_size", MAX_PAGE)
    if page < 0:
        raise ApiError("validation_error", "page must be >=0", field="page")
    if not size or size < 1:
        raise ApiError("validation_error", "page_size must be >0", field="page_size")
    size = min(size, MAX_PAGE)
    include = query.get("projection") or query.get("only_fields") or []
    include = [include] if isinstance(include, str) else include
    _check_fields(kind, include)
    return [project(d, include, kind.private) for d in found[page * size : (page + 1) * size]]


def _check_fields(kind: Kind, include: list[str]) -> None:
    known = (*kind.lists, *kind.patterns, *kind.ranges, *kind.dates, *kind.plain, *kind.private)
    known = {name.split(".")[0] for name in (*known, *kind.fields)}
    for name in include:
        if name.removeprefix("-").split(".")[0] not in known:
            message = "probably an invalid field name or unsupported nested field"
            text = f'Cannot resolve field "{name}"'
            raise ApiError("invalid_fields", message, replace="Lookup error", err=text)


def values(document: dict, path: str) -> list:
    """What a dotted path leads to, through lists as MongoDB goes; nothing for null or missing."""
    nodes: list = [document]
    for key in path.split("."):
        items = [i for n in nodes for i in (n if isinstance(n, list) else [n])]
        nodes = [i[key] for i in items if isinstance(i, dict) and key in i]
    flat = [v for n in nodes for v in (n if isinstance(n, list) else [n])]
    return [v for v in flat if v is not None]


def project(document: dict, include: list[str], private: tuple[str, ...]) -> dict:
    """A shallow copy, or only the paths of `include`; `-path` leaves a field out."""
    only = [n for n in include if not n.startswith("-")]
    if only:
        result: dict = {}
        for path in sorted(set(only)):
            _copy_path(document, result, path.split("."))
        return result
    out = {n[1:] for n in include} | set(private)
    return {k: v for k, v in document.items() if k not in out}


def _copy_path(source, target: dict, path: list[str]) -> None:
    key, *rest = path
    if not isinstance(source, dict) or key not in source:
        return
    value = source[key]
    if not rest:
        target[key] = value
    elif target.get(key) is value:
        pass  # copied whole already, by a shorter path
    elif isinstance(value, dict):
        _copy_path(value, target.setdefault(key, {}), rest)
    elif isinstance(value, list):
        for item, copied in zip(value, target.setdefault(key, [{} for _ in value]), strict=True):
            _copy_path(item, copied, rest)


def _checks(kind: Kind, query: dict) -> list[Callable[[dict], bool]]:
    if query.get("filters") or query.get("search_text") or query.get("scroll_id"):
        raise ApiError("not_implemented", "only the web UI asks so")
    checks: list[Callable[[dict], bool]] = []
    for name, wanted in query.items():
        if wanted is None:
            continue
        if name in kind.patterns and wanted:
            checks.append(_pattern([name], wanted, any, 0))
        elif _listed(name, kind.lists):
            checks.append(_list_check(name, wanted))
        elif _listed(name, kind.plain):
            checks.append(lambda d, n=name, w=wanted: w in values(d, n))
        elif _listed(name, kind.ranges):
            checks.append(_range(name, wanted))
        elif name in kind.dates:
            checks.append(_dates(name, wanted))
        elif name in ("_any_", "_or_", "_all_", "_and_") and wanted.get("fields"):
            combine = any if name in ("_any_", "_or_") else all
            pattern = wanted.get("pattern")
            if pattern is None and wanted.get("datetime"):
                dates = [_dates(field, wanted["datetime"]) for field in wanted["fields"]]
                checks.append(lambda d, c=combine, dates=dates: c(test(d) for test in dates))
                continue
            if pattern is None:
                raise ApiError("not_implemented", "only the web UI asks so")
            checks.append(_pattern(wanted["fields"], pattern, combine, re.IGNORECASE))
    return checks


def _listed(name: str, names: tuple[str, ...]) -> bool:
    return any(name == n or (n.endswith("*") and name.startswith(n[:-1])) for n in names)


def _pattern(fields: list[str], pattern: str, combine, flags: int) -> Callable[[dict], bool]:
    try:
        regex = re.compile(pattern, flags)
    except re.error as error:
        raise ApiError("invalid_regex_error", err=error, extra_info=None) from None

    def hit(document: dict, name: str) -> bool:
        return any(isinstance(v, str) and regex.search(v) for v in values(document, name))

    return lambda document: combine(hit(document, name) for name in fields)


def _range(name: str, wanted) -> Callable[[dict], bool]:
    """[lowest, highest]; one of them may be null."""
    if not isinstance(wanted, list) or len(wanted) != 2:
        message = f"Min and max values should be specified for range field {name}"
        raise ApiError("validation_error", message)
    low, high = (iso(parse_time(v)) if isinstance(v, str) else v for v in wanted)

    def check(document: dict) -> bool:
        found = values(document, name)
        inside = [v for v in found if (low is None or v >= low) and (high is None or v <= high)]
        return bool(inside) or (low is None and not found)

    return check


def _dates(name: str, wanted) -> Callable[[dict], bool]:
    """`>=`, `>`, `<=`, `<` and a time; two bare times are a range."""
    wanted = wanted if isinstance(wanted, list) else [wanted]
    if len(wanted) == 2 and not any(w and w[0] in "<>" for w in wanted):
        return _range(name, wanted)
    parts = [re.match(r"^(>=|>|<=|<)?(.*)$", text).groups("") for text in wanted]
    tests = [(COMPARE[prefix], iso(parse_time(moment))) for prefix, moment in parts]
    return lambda document: all(any(t(v, m) for v in values(document, name)) for t, m in tests)


def _list_check(name: str, wanted) -> Callable[[dict], bool]:
    """A list of values: any of them, with exclusion and the `__$` operators.

    `-value` excludes only before an operator was used; the first operator also says how the
    groups (any of, all of, none of) are combined. `None` stands for "empty or missing".
    """
    groups: dict[str, list[str]] = {"any": [], "all": [], "none": []}
    context, combine, legacy, negate, empty = "any", None, True, False, False
    operators = {"__$all": "all", "__$and": "all", "__$any": "any", "__$or": "any"}
    for value in wanted if isinstance(wanted, list) else [wanted]:
        if value is None:
            empty = True
        elif not isinstance(value, str):
            message = "invalid value type, string expected"
            raise ApiError("fields_value_error", message, field=name, value=value)
        elif value in operators:
            context, legacy = operators[value], False
            combine = combine or context
        elif value == "__$not":
            negate = True
        elif value.startswith("__$"):
            raise ApiError("fields_value_error", "Unsupported operator", field=name, operator=value)
        else:
            combine = combine or "all"
            minus = legacy and not negate and value.startswith("-")
            groups["none" if negate or minus else context].append(value[1:] if minus else value)
            negate = False

    def check(document: dict) -> bool:
        found = values(document, name)
        results = []
        if groups["any"]:
            results.append(any(v in found for v in groups["any"]))
        if groups["all"]:
            results.append(all(v in found for v in groups["all"]))
        if groups["none"]:
            results.append(not any(v in found for v in groups["none"]))
        if not results:
            return not (empty and found)
        return (any if combine == "any" else all)(results) or (empty and not found)

    return check
