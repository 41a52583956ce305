"""How to show something on ClearML's pages; what is shown is in the `page.py` of each stage.

The same functions fill the page of the step that made it and the page of the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from components.runtime.text import printable

if TYPE_CHECKING:
    from clearml import Logger, Task

NO_ITERATION = -(2**31)  # how ClearML marks a single value
MOST_ROWS = 200  # of a table on a page; ClearML keeps and shows each as one plot


def logger_of(task: Task) -> Any:
    """The logger of a task that has each iteration where it is said to be, in every attempt.

    ClearML moves all iterations of a task that is enqueued again behind those that it has, so that
    its curves would be there twice; it makes points of single values too. That can't be turned off
    once its reporting process runs, which is before a step does.
    """
    return InPlace(task) if task.get_initial_iteration() else task.get_logger()


class InPlace:
    """A logger that takes the offset off which ClearML adds; the server replaces what it has."""

    def __init__(self, task: Task) -> None:
        self._logger, self._offset = task.get_logger(), task.get_initial_iteration()

    def report_single_value(self, name: str, value: float) -> None:
        """As the logger's."""
        self.report_scalar("Summary", name, value, iteration=NO_ITERATION)

    def __getattr__(self, name: str) -> Callable[..., None]:
        report = getattr(self._logger, name)
        return lambda *values, iteration, **named: report(
            *values, iteration=iteration - self._offset, **named
        )


def curve(name: str) -> tuple[str, str]:
    """Title and series of a training metric: `validation_loss` is on the plot `loss`."""
    prefix, _, rest = name.partition("_")
    return (rest, "validation") if prefix == "validation" else (name, "training")


def report_table(
    logger: Logger, title: str, series: str, columns: list[str], rows: list[list[Any]]
) -> None:
    """A table of at most `MOST_ROWS` rows, whose last line says how many there are more."""
    shown = [
        [printable(cell) if isinstance(cell, str) else cell for cell in row]
        for row in rows[:MOST_ROWS]
    ]
    if len(rows) > MOST_ROWS:
        more = f"and {len(rows) - MOST_ROWS} more; all are in the files"
        shown.append([more, *[""] * (len(columns) - 1)])
    logger.report_table(title, series, table_plot=[columns, *shown], iteration=0)
