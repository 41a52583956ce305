"""events.*: scalars, plots, debug images and the console, and the last metrics of tasks."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from operator import itemgetter

from .errors import ApiError
from .state import USER, Call, State, endpoint, md5, millis, new_id, now, parse_time

SCALAR, IMAGE, PLOT = "training_stats_scalar", "training_debug_image", "plot"
TYPES = {"log", SCALAR, "training_stats_vector", IMAGE, PLOT}
SINGLE = -(2**31)  # the iteration of a value that has none (report_single_value)
UNCOUNTED = {":monitor:machine", ":monitor:gpu"}  # do not move a task's last iteration
MAX_EVENTS = 10_000  # events of one answer


# -- adding ----------------------------------------------------------------------------------------
@endpoint("events.add")
def add(state: State, call: Call) -> dict:
    return _add(state, [dict(call.data)], call.worker)


@endpoint("events.add_batch")
def add_batch(state: State, call: Call) -> dict:
    if not call.batch:
        raise ApiError("batch_contains_no_items")
    return _add(state, call.batch, call.worker)


def _add(state: State, events: list[dict], worker: str) -> dict:
    errors: dict[str, int] = defaultdict(int)
    added: dict[str, list[dict]] = defaultdict(list)
    for event in events:
        locked_too = event.pop("allow_locked", False)
        if event.setdefault("model_event", False) and event.get("model"):
            event["task"] = event.pop("model")
        problem = _problem(state, event, locked_too)
        if problem:
            errors[problem] += 1
            continue
        event["type"] = event["type"].replace(" ", "_")
        event["timestamp"] = event.pop("ts", None) or event.get("timestamp") or millis()
        event.setdefault("worker", worker)
        event["@timestamp"] = now()[:23] + "Z"
        if event.get("iter") is not None:
            event["iter"] = int(event["iter"])
        if event["type"] == PLOT:
            event["plot_len"] = len(event.get("plot_str") or "")
        if "values" in event:
            event["value"] = event.pop("values")
        event["metric"] = event.get("metric") or ""
        event["variant"] = event.get("variant") or ""
        if event["type"] == "log":
            key = new_id()
        else:  # a second report of the same point replaces the first
            parts = ("task", "iter", "metric", "variant", "key")
            key = "-".join(str(event[p]) for p in parts if p in event)
        label = event.pop("x_axis_label", None)
        kept = state.events.setdefault(event["task"], {}).setdefault(event["type"], {})
        kept[key] = event
        added[event["task"]].append({**event, "x_axis_label": label})
    if not added:
        raise ApiError("events_not_added", **errors)
    for id_, batch in added.items():
        model = batch[0]["model_event"]
        _update_owner((state.models if model else state.tasks)[id_], batch, model)
    count = sum(map(len, added.values()))
    return {"added": count, "errors": sum(errors.values()), "errors_info": errors}


def _problem(state: State, event: dict, locked_too: bool) -> str:
    kind, id_ = event.get("type"), event.get("task")
    if kind is None:
        return "Event must have a 'type' field"
    if kind.replace(" ", "_") not in TYPES:
        return f"Invalid event type {kind.replace(' ', '_')}"
    if event["model_event"] and kind == "log":
        return "Task log events are not supported for models"
    if id_ is None:
        return "Event must have a 'task' field"
    if event["model_event"]:
        owner = state.models.get(id_)
        locked = owner and owner["ready"]
    else:
        owner = state.tasks.get(id_)
        locked = owner and owner["status"] in ("publishing", "published")
    if not owner or (locked and not locked_too):
        return f"Invalid {'model' if event['model_event'] else 'task'} id {id_}"
    return ""


def _update_owner(owner: dict, batch: list[dict], model: bool) -> None:
    """Last iteration, last, lowest, highest and first values after a batch of events."""
    counted = [e["iter"] for e in batch if "iter" in e and e["metric"] not in UNCOUNTED]
    owner["last_iteration"] = max([owner.get("last_iteration", 0), *counted])
    series = defaultdict(list)
    for event in batch:
        if event["type"] == SCALAR and event.get("value") is not None:
            series[event["metric"], event["variant"]].append(event)
    for (metric, variant), events in series.items():
        variants = owner["last_metrics"].setdefault(md5(metric), {})
        value = variants.setdefault(md5(variant), {"metric": metric, "variant": variant})
        _update_metric(value, events)
        name = f"{metric}/{variant}"
        if name not in owner["unique_metrics"]:
            owner["unique_metrics"].append(name)
    owner["last_update"] = owner["last_change"] = now()
    owner["last_changed_by"] = USER
    if model:
        return
    stats: dict[str, dict] = {}
    for event in batch:
        stat = stats.setdefault(
            md5(event["metric"]), {"metric": event["metric"], "event_stats_by_type": {}}
        )
        stat["event_stats_by_type"][event["type"]] = {"last_update": event["timestamp"]}
    owner["metric_stats"] = stats  # the last batch only, as on the real server
    if owner["status"] == "in_progress" and owner.get("started"):
        age = parse_time(now()) - parse_time(owner["started"])
        owner["active_duration"] = int(age.total_seconds())


def _update_metric(value: dict, events: list[dict]) -> None:
    def iteration(event: dict) -> int:
        return event.get("iter", 0)

    last = events[0]
    for event in events[1:]:
        if (iteration(event), event["timestamp"]) >= (iteration(last), last["timestamp"]):
            last = event
    value["value"] = last["value"]
    if last["x_axis_label"] is not None:
        value["x_axis_label"] = last["x_axis_label"]
    low, high = (pick(events, key=itemgetter("value")) for pick in (min, max))
    first = min(events, key=iteration)
    for key, event, better in (
        ("min", low, lambda old, new: new < old),
        ("max", high, lambda old, new: new > old),
        ("first", first, lambda old, new: False),
    ):
        old = value.get(f"{key}_value")
        if old is None or better(old, event["value"]):
            value[f"{key}_value"] = float(event["value"]) if key == "first" else event["value"]
            value[f"{key}_value_iteration"] = iteration(event)
    count, total = value.get("count", 0), sum(e["value"] for e in events)
    mean = (value.get("mean_value", 0) * count + total) / (count + len(events))
    value["mean_value"], value["count"] = round(mean, 2), count + len(events)


# -- reading ---------------------------------------------------------------------------------------
def _events(state: State, call: Call, ids, kind: str = "all") -> list[dict]:
    """The stored events of tasks or models that must exist."""
    ids = [ids] if isinstance(ids, str) else ids
    collection = state.models if call.data.get("model_events") else state.tasks
    unknown = [i for i in ids if i not in collection]
    if unknown:
        model = call.data.get("model_events")
        raise ApiError("invalid_model_id" if model else "invalid_task_id", ids=unknown)
    return [
        event
        for id_ in ids
        for name, events in state.events.get(id_, {}).items()
        if kind in ("all", name)
        for event in events.values()
    ]


def _of_metrics(events: list[dict], metrics) -> list[dict]:
    """The events of `[{metric, variants}]`; no variants means all of them."""
    if not metrics:
        return events
    wanted = {m["metric"]: m.get("variants") for m in metrics}
    return [
        e
        for e in events
        if e["metric"] in wanted
        and (not wanted[e["metric"]] or e["variant"] in wanted[e["metric"]])
    ]


def _page(events: list[dict], key: str, size: int, earlier: bool, start) -> list[dict]:
    """The next `size` events after `start`, and all others with the key of the last one."""
    events = sorted(events, key=lambda e: e.get(key, 0), reverse=earlier)
    if start:
        events = [e for e in events if (e[key] < start if earlier else e[key] > start)]
    page = events[:size]
    return page + [e for e in events[size:] if e.get(key) == page[-1].get(key)]


@endpoint("events.get_task_log")
def get_task_log(state: State, call: Call) -> dict:
    data, events = call.data, _events(state, call, call.one("task"), "log")
    total = len(events)
    size = data.get("batch_size") or 5000
    earlier = data.get("navigate_earlier", True)
    events = _of_metrics(events, data.get("metrics"))
    page = _page(events, "timestamp", size, earlier, data.get("from_timestamp"))
    if data.get("order") and (data["order"] == "asc") == earlier:
        page.reverse()
    return {"events": page, "returned": len(page), "total": total}


@endpoint("events.get_task_events")
def get_task_events(state: State, call: Call) -> dict:
    data, scroll = call.data, call.data.get("scroll_id")
    kind = data.get("event_type") or "all"
    events = _of_metrics(_events(state, call, call.one("task"), kind), data.get("metrics"))
    earlier = data.get("order") == "desc"
    if scroll:
        start = state.scrolls.get(scroll)
        if start is None:
            return {"returned": 0, "total": len(events), "scroll_id": scroll, "events": []}
    else:
        start, scroll = None if earlier else SINGLE - 1, new_id()
    page = _page(events, "iter", min(data.get("batch_size") or 500, 200_000), earlier, start)
    state.scrolls[scroll] = page[-1].get("iter") if page else None
    return {"returned": len(page), "total": len(events), "scroll_id": scroll, "events": page}


def _by(events: list[dict], *keys: str) -> dict:
    """Events in groups by one key or a tuple of keys, in the order of the keys' values."""
    key = itemgetter(*keys)
    return {k: list(group) for k, group in groupby(sorted(events, key=key), key)}


def _histogram(events: list[dict], call: Call) -> dict:
    """`{metric: {variant: {name, x, y}}}`, thinned to averages over equal steps."""
    if (call.data.get("key") or "iter") != "iter":
        raise ApiError("not_implemented", "a histogram over time")
    samples = call.data.get("samples") or 2000
    events = _of_metrics(events, call.data.get("metrics"))
    groups = _by([e for e in events if e.get("iter", 0) > SINGLE], "metric", "variant")
    answer: dict[str, dict] = {}
    for (metric, variant), series in groups.items():
        low, high = (pick(e.get("iter", 0) for e in series) for pick in (min, max))
        step = 1 if len(series) < samples else max(1, -(-(high - low + 1) // samples))
        buckets: dict[int, list[float]] = defaultdict(list)
        for event in series:
            buckets[event.get("iter", 0) // step * step].append(event["value"])
        x = sorted(buckets)
        y = [sum(buckets[i]) / len(buckets[i]) for i in x]
        answer.setdefault(metric, {})[variant] = {"name": variant, "x": x, "y": y}
    return answer


@endpoint("events.scalar_metrics_iter_histogram")
def scalar_metrics_iter_histogram(state: State, call: Call) -> dict:
    return _histogram(_events(state, call, call.one("task"), SCALAR), call)


@endpoint("events.get_task_single_value_metrics")
def get_task_single_value_metrics(state: State, call: Call) -> dict:
    events = _of_metrics(_events(state, call, call.one("tasks"), SCALAR), call.data.get("metrics"))
    keys = ("metric", "variant", "value", "timestamp")
    tasks = _by([e for e in events if e.get("iter") == SINGLE], "task")
    return {
        "tasks": [
            {
                "task": id_,
                "task_name": state.tasks.get(id_, {}).get("name"),
                "values": [{k: e.get(k) for k in keys} for e in values],
            }
            for id_, values in tasks.items()
        ]
    }


@endpoint("events.get_task_metrics")
def get_task_metrics(state: State, call: Call) -> dict:
    ids, kind = call.need("tasks", "event_type")
    metrics = []
    for id_ in ids:
        events = [e for e in _events(state, call, id_, kind) if e.get("iter", 0) > SINGLE]
        metrics.append({"task": id_, "metrics": sorted({e["metric"] for e in events})})
    return {"metrics": metrics}


@endpoint("events.get_task_plots")
def get_task_plots(state: State, call: Call) -> dict:
    """The plots of the last `iters` iterations of every variant."""
    events = _of_metrics(_events(state, call, call.one("task"), PLOT), call.data.get("metrics"))
    plots = []
    for group in _by(events, "metric", "variant").values():
        latest = sorted(group, key=lambda e: e.get("iter", 0), reverse=True)
        plots += latest[: call.data.get("iters") or 1]
    return {"plots": plots, "returned": len(plots), "total": len(plots), "scroll_id": None}


def _by_iteration(state: State, call: Call, kind: str) -> dict:
    """The last `iters` iterations, and with the same scroll id the ones before them."""
    iters, scroll = call.data.get("iters") or 1, call.data.get("scroll_id") or new_id()
    seen = {} if call.data.get("refresh") else state.scrolls.setdefault(scroll, {})
    wanted: dict[str, list[dict]] = defaultdict(list)
    for item in call.one("metrics"):
        wanted[item["task"]].append(item)
    metrics = []
    for id_, items in wanted.items():
        events = _events(state, call, id_, kind)
        if all(item.get("metric") for item in items):
            events = _of_metrics(events, items)
        groups = _by(events, "iter")
        left = sorted((i for i in groups if i < seen.get(id_, 2**63)), reverse=True)[:iters]
        if left:
            seen[id_] = left[-1]
        iterations = [{"iter": i, "events": groups[i]} for i in left]
        metrics.append({"task": id_, "iterations": iterations})
    state.scrolls[scroll] = seen
    return {"metrics": metrics, "scroll_id": scroll}


@endpoint("events.plots")
def plots(state: State, call: Call) -> dict:
    return _by_iteration(state, call, PLOT)


@endpoint("events.debug_images")
def debug_images(state: State, call: Call) -> dict:
    return _by_iteration(state, call, IMAGE)
