"""The trials of a sweep compared: a table, a CSV file and a picture."""

from __future__ import annotations

import csv
import itertools
import logging
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.sweeps.trials import COMPLETED, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

log = logging.getLogger(__name__)

COLUMNS = 3  # panels in a row of the picture
FEW = 6  # values that each get their label


def measure(trial: Trial) -> tuple[str, float | None]:
    """The figure by which trials are compared, and its value.

    The validation accuracy: to choose by the test images would make their figures too good.
    """
    if trial.objective:
        return trial.objective, trial.reached
    if trial.validation is None:  # nothing was trained
        return "test accuracy", trial.test
    return "validation accuracy", trial.validation


def ranked(trials: list[Trial]) -> list[Trial]:
    """Best first, those without a result last."""

    def key(trial: Trial) -> tuple[bool, float, int]:
        name, value = measure(trial)
        is_better_low = name.endswith("loss")
        return value is None, (value or 0.0) * (1 if is_better_low else -1), trial.number

    return sorted(trials, key=key)


def swept(trials: list[Trial]) -> list[str]:
    """The parameters that differ between the trials."""
    names = dict.fromkeys(name for trial in trials for name in trial.parameters)
    return [name for name in names if len({trial.parameters.get(name) for trial in trials}) > 1]


def rows(trials: list[Trial]) -> list[dict[str, Any]]:
    """One row a trial by the names of the columns, best first."""
    names = swept(trials)
    return [
        {
            "trial": trial.number,
            **{name: trial.parameters.get(name, "") for name in names},
            trial.objective or "validation accuracy": trial.reached
            if trial.objective
            else trial.validation,
            "test accuracy": trial.test,
            "test low": trial.interval[0] if trial.interval else None,
            "test high": trial.interval[1] if trial.interval else None,
            "seconds": trial.seconds,
            "status": trial.status,
            "reason": trial.reason,
            "where": trial.place,
        }
        for trial in ranked(trials)
    ]


def text(trials: list[Trial]) -> str:
    """The table for a terminal, without the columns in which nothing is."""
    lines = []
    for row in rows(trials):
        low, high, status, reason = (
            row.pop(name) for name in ("test low", "test high", "status", "reason")
        )
        where = row.pop("where")
        row = {name: _cell(name, value) for name, value in row.items()}
        if low is not None:
            row["test accuracy"] += f" ({low:.3f}-{high:.3f})"
        told = ": ".join(filter(None, [status, reason]))
        lines.append(row | {"where": where if status == COMPLETED else told})
    names = [name for name in lines[0] if any(line[name] for line in lines)]
    table = [names, *([line[name] for name in names] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    is_figure = name.endswith(("accuracy", "auc", "loss"))
    return f"{value:.3f}" if is_figure else short(value)


def short(value: Any) -> str:
    """A number in at most four digits that count; other things as they are."""
    text = str(value)
    number = _number(text)
    return text if number is None or len(text) <= 8 else f"{number:.4g}"


def conclude(
    trials: list[Trial], folder: Path, told: str = "", project: str | None = None, name: str = ""
) -> None:
    """Compare the trials: here with the words `told` behind, in the folder, and on the server.

    There in a task of that name, unless `project` is None.
    """
    print(f"\n{text(trials)}\n")
    table, picture = folder / "leaderboard.csv", folder / "leaderboard.png"
    compared = rows(trials)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(compared[0]))
        writer.writeheader()
        writer.writerows(compared)
    drawn = draw(trials, picture)
    if told:
        print(told)
    print(f"leaderboard: {folder}")
    if project is None:
        return
    from pipelines.sweeps.trials_server import publish

    try:
        page = publish(project, name, compared, table, picture if drawn else None)
        print(f"leaderboard: {page}")
    except Exception as error:
        log.warning("the leaderboard is not on the server: %s", error)


def draw(trials: list[Trial], path: Path) -> bool:
    """A panel for each swept parameter with the accuracy against it; False without any."""
    names = swept(trials)
    done = [trial for trial in ranked(trials) if measure(trial)[1] is not None]
    if not names or not done:
        return False
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(0.8 + 3.6 * columns, 0.7 + 3.0 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for panel, name in itertools.zip_longest(panels.flat, names):
        if name is None:
            panel.axis("off")
            continue
        _panel(panel, done, name)
        panel.set_xlabel(name)
        panel.grid(axis="y", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    for line in panels:
        line[0].set_ylabel(measure(done[0])[0])
    figure.suptitle(
        f"{len(done)} of {len(trials)} trials; orange: the best, grey: means", fontsize="medium"
    )
    figure.savefig(path, dpi=120)
    return True


def _panel(panel: Axes, trials: list[Trial], name: str) -> None:
    """Points of the trials, the first of which is the best, and the mean at each value."""
    texts = [trial.parameters.get(name, "") for trial in trials]
    numbers = [_number(text) for text in texts]
    categories = sorted(set(texts))
    is_numeric = all(number is not None for number in numbers)
    places = numbers if is_numeric else [categories.index(text) for text in texts]
    if is_numeric and min(places) > 0 and max(places) / min(places) >= 10:
        panel.set_xscale("log")
    if not is_numeric:
        panel.set_xticks(range(len(categories)), [_cut(text) for text in categories])
        panel.set_xlim(-0.6, len(categories) - 0.4)
        if len(categories) > 3:
            panel.tick_params("x", rotation=30)
    values = [measure(trial)[1] for trial in trials]
    at: dict[float, list[float]] = {}
    for place, value in zip(places, values, strict=True):
        at.setdefault(place, []).append(value)
    if is_numeric and len(at) <= FEW:
        panel.set_xticks(list(at), [f"{place:g}" for place in at])
        panel.set_xticks([], minor=True)
    if len(at) <= len(values) / 2:  # else hardly a value comes twice
        means = [statistics.mean(at[place]) for place in sorted(at)]
        style = {"color": "0.7"} if is_numeric else {"color": "0.5", "ls": "", "marker": "_"}
        panel.plot(sorted(at), means, markersize=28, **style)
    panel.plot(places, values, "o", color="tab:blue", alpha=0.7)
    panel.plot(places[0], values[0], "o", color="tab:orange", markersize=9)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _cut(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"
