"""What ClearML's pages show of an evaluation."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from components.runtime.files import read_json
from components.runtime.reporting import report_table
from components.runtime.text import printable


def report(logger: Any, folder: Path) -> None:
    """The test figures, the tables and the pictures of the report."""
    metrics = read_json(folder / "metrics.json")
    for name, value in metrics.items():
        if isinstance(value, (int, float)):
            logger.report_single_value(f"test {name.replace('_', ' ')}", value)
    matrix, classes = metrics["confusion_matrix"], list(map(printable, metrics["classes"]))
    logger.report_confusion_matrix(
        "confusion matrix",
        "test",
        matrix=matrix,
        xaxis="predicted",
        yaxis="actual",
        xlabels=classes,
        ylabels=classes,
        yaxis_reversed=True,
        iteration=0,
    )
    for path in sorted((folder / "tables").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            columns, *rows = csv.reader(file)
        report_table(logger, path.stem.replace("_", " "), "table", columns, rows)
    for picture in sorted((folder / "figures").glob("*.png")):
        logger.report_image("evaluation", picture.stem, local_path=str(picture), iteration=0)
