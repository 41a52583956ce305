"""What ClearML's pages show of a dataset, a model and an evaluation.

The same functions fill the page of the step that made it and the page of the pipeline.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from components.files import read_json

if TYPE_CHECKING:
    from clearml import Logger

ROWS_AT_MOST = 100  # of a table on a page


def curve(name: str) -> tuple[str, str]:
    """Title and series of a training metric: `validation_loss` is on the plot `loss`."""
    prefix, _, rest = name.partition("_")
    return (rest, "validation") if prefix == "validation" else (name, "training")


def report_dataset(logger: Logger, folder: Path) -> None:
    """Class counts as a table and a histogram, and the preview pictures."""
    info = read_json(folder / "dataset.json")
    counts = info["counts"]
    if info["kind"] == "raw":
        counts = {"all": counts}
    classes = info["classes"]
    rows = [[split, *(counts[split].get(label, 0) for label in classes)] for split in counts]
    logger.report_table("images", "by class", table_plot=[["split", *classes], *rows], iteration=0)
    for split, *values in rows:
        logger.report_histogram(
            "class counts", split, values=values, xlabels=classes, yaxis="images", iteration=0
        )
    for picture in sorted(folder.glob("*.jpg")):
        logger.report_image("preview", picture.stem, local_path=str(picture), iteration=0)


def report_model(logger: Logger, folder: Path) -> None:
    """The validation figures, and what augmentation does to an image."""
    info = read_json(folder / "model.json")
    for name, value in info["validation"].items():
        logger.report_single_value(f"validation {name}", value)
    for picture in sorted(folder.glob("*.png")):
        logger.report_image("training", picture.stem, local_path=str(picture), iteration=0)


def report_history(logger: Logger, folder: Path) -> None:
    """The training curves of a finished model; the training step reports them as it goes."""
    with (folder / "history.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if name != "epoch" and value:
                    title, series = curve(name)
                    logger.report_scalar(title, series, float(value), iteration=int(row["epoch"]))


def report_evaluation(logger: Logger, folder: Path) -> None:
    """The test figures, the tables and the pictures of the report."""
    metrics = read_json(folder / "metrics.json")
    for name, value in metrics.items():
        if isinstance(value, (int, float)):
            logger.report_single_value(f"test {name.replace('_', ' ')}", value)
    matrix, classes = metrics["confusion_matrix"], metrics["classes"]
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
        name = path.stem.replace("_", " ")
        logger.report_table(name, "table", table_plot=read_table(path), iteration=0)
    for picture in sorted((folder / "figures").glob("*.png")):
        logger.report_image("evaluation", picture.stem, local_path=str(picture), iteration=0)


def read_table(path: Path) -> list[list[str]]:
    """Header and rows of a CSV file, as many as a page shows well; the last one tells of others."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    left = len(rows) - 1 - ROWS_AT_MOST
    if left > 0:
        note = f"and {left} more, in {path.parent.name}/{path.name} of the artifact details"
        rows[1 + ROWS_AT_MOST :] = [[note, *[""] * (len(rows[0]) - 1)]]
    return rows
