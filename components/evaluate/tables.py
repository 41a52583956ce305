"""The tables of the report as CSV files, for spreadsheets and for ClearML's pages."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.evaluate.figures import numbered

Row = dict[str, Any]


def write_tables(folder: Path, metrics: dict[str, Any]) -> None:
    """Write each table of `metrics` (the content of metrics.json) that has rows, by its name."""
    folder.mkdir()
    for name, rows in _tables(metrics):
        if rows:
            path = folder / f"{name}.csv"
            with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


def _tables(metrics: dict[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    known = metrics["intervals"]
    yield (
        "figures",
        [
            {"figure": name, "value": value} | _ends(known.get(name))
            for name, value in metrics.items()
            if isinstance(value, float)
        ],
    )
    yield (
        "classes",
        [
            {"class": name, "figure": figure, "value": value}
            | _ends(known.get(f"per_class.{name}.{figure}"))
            for name, row in metrics["per_class"].items()
            for figure, value in row.items()
        ],
    )
    yield "gate", [{"figure": name, "value": v} for name, v in metrics.get("gate", {}).items()]
    thresholds = metrics.get("thresholds", {})
    yield (
        "thresholds",
        [
            {"class": name, "threshold": row["threshold"], "figure": figure, "value": row[figure]}
            | _ends(known.get(f"thresholds.{name}.{figure}"))
            for name, row in thresholds.items()
            for figure in ("precision", "recall")
        ],
    )
    if numbered(metrics["classes"]):
        numbers = enumerate(metrics["classes"], 1)
        yield "class_numbers", [{"number": number, "class": name} for number, name in numbers]
    for name in ("slices", "robustness"):
        yield name, [_flat(row) for row in metrics.get(name, [])]
    for name in ("most_confused", "reliability", "label_errors"):
        yield name, metrics.get(name, [])


def _flat(row: Row) -> Row:
    """The row with its interval as two columns."""
    return {key: value for key, value in row.items() if key != "interval"} | _ends(row["interval"])


def _ends(interval: list[float] | None) -> Row:
    low, high = interval or (None, None)
    return {"low": low, "high": high}
