"""The tables of the report as CSV files, for spreadsheets and for ClearML's pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.evaluate.figures import numbered
from components.runtime.spreadsheet import Table

Row = dict[str, Any]


def write_tables(folder: Path, metrics: dict[str, Any]) -> None:
    """Write each table of `metrics` (the content of metrics.json) that has rows, by its name."""
    folder.mkdir()
    for name, rows in _tables(metrics).items():
        if rows:
            path = folder / f"{name}.csv"
            with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
                table = Table(file)
                for cells in (rows[0], *(row.values() for row in rows)):
                    table.writerow(cells)


def _tables(metrics: dict[str, Any]) -> dict[str, list[Row]]:
    def figure(name: str, value: Any) -> Row:
        interval = metrics["intervals"].get(name)
        return {"figure": name.rpartition(".")[2], "value": value} | _ends(interval)

    tables = {
        "figures": [figure(name, v) for name, v in metrics.items() if isinstance(v, float)],
        "classes": [
            {"class": name} | figure(f"per_class.{name}.{kind}", value)
            for name, row in metrics["per_class"].items()
            for kind, value in row.items()
        ],
        "gate": [{"figure": name, "value": v} for name, v in metrics.get("gate", {}).items()],
        "thresholds": [
            {"class": name, "threshold": row["threshold"]}
            | figure(f"thresholds.{name}.{kind}", row[kind])
            for name, row in metrics.get("thresholds", {}).items()
            for kind in ("precision", "recall")
        ],
    }
    if numbered(metrics["classes"]):
        numbers = enumerate(metrics["classes"], 1)
        tables["class_numbers"] = [{"number": number, "class": name} for number, name in numbers]
    for name in ("slices", "robustness", "most_confused", "reliability", "label_errors"):
        tables[name] = [_flat(row) for row in metrics.get(name, [])]
    return tables


def _flat(row: Row) -> Row:
    """The row, if it has an interval with it as two columns."""
    rest = {key: value for key, value in row.items() if key != "interval"}
    return rest | _ends(row["interval"]) if "interval" in row else rest


def _ends(interval: list[float] | None) -> Row:
    low, high = interval or (None, None)
    return {"low": low, "high": high}
