"""Trials on a ClearML server: what became of them, and the task that compares them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearml import Task

from pipelines.engine.controller import plain_task

# The words of the web UI, and of this project, for the states in which a task may stay.
ENDS = {
    "completed": "completed",
    "published": "completed",
    "closed": "completed",
    "failed": "failed",
    "stopped": "aborted",
    "created": "dequeued",
    "deleted": "deleted",
}


@dataclass(frozen=True)
class Outcome:
    """What the server tells of a task."""

    status: str  # of `ENDS`, or queued or in_progress
    reason: str
    seconds: float | None
    figures: dict[str, float]  # last values: the single ones by name, others as `title/series`
    page: str

    @property
    def ended(self) -> bool:
        """Whether it stays as it is unless a person acts."""
        return self.status in ENDS.values()

    def validation(self, figure: str) -> float | None:
        """Of the model that was kept, or else of the last epoch."""
        kept, last = f"validation {figure}", f"{figure}/validation"
        return self.figures.get(kept, self.figures.get(last))


def outcomes(tasks: list[str]) -> dict[str, Outcome]:
    """How each of the tasks is doing, by id."""
    fields = ["status", "status_message", "started", "completed", "last_metrics", "project"]
    found = Task.query_tasks(
        task_filter={"id": tasks, "search_hidden": True}, additional_return_fields=fields
    )
    known = {one["id"]: _outcome(one) for one in found}
    missing = Outcome("deleted", "not on the server any more", None, {}, "")
    return {task: known.get(task, missing) for task in tasks}


def _outcome(task: dict[str, Any]) -> Outcome:
    status = ENDS.get(str(task["status"]), str(task["status"]))
    started, completed = task.get("started"), task.get("completed")
    figures = {}
    for variants in (task.get("last_metrics") or {}).values():
        for one in variants.values():
            title, series = one["metric"], one["variant"]
            figures[series if title == "Summary" else f"{title}/{series}"] = one["value"]
    return Outcome(
        status=status,
        reason="" if status == "completed" else " ".join((task["status_message"] or "").split()),
        seconds=round((completed - started).total_seconds(), 1) if started and completed else None,
        figures=figures,
        page=Task.get_task_output_log_web_page(task["id"], task["project"]),
    )


def publish(
    project: str, name: str, rows: list[dict[str, Any]], table: Path, picture: Path | None
) -> str:
    """Keep a leaderboard as a task of its own; returns its page."""
    task = Task.current_task() or plain_task(project, name, "optimizer", streams=False)
    logger = task.get_logger()
    values = [
        ["" if value is None else value for value in map(_linked, row.items())] for row in rows
    ]
    logger.report_table("leaderboard", "trials", table_plot=[list(rows[0]), *values], iteration=0)
    if picture:
        logger.report_image("leaderboard", "accuracy", local_path=str(picture), iteration=0)
    task.upload_artifact("leaderboard.csv", table, wait_on_upload=True)
    page = task.get_output_log_web_page()
    task.close()
    return page


def _linked(cell: tuple[str, Any]) -> Any:
    name, value = cell
    is_page = name == "where" and str(value).startswith("http")
    return f'<a href="{value}">page</a>' if is_page else value
