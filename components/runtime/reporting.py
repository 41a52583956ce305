"""What ClearML's pages show of a dataset, a model and an evaluation.

The same functions fill the page of the step that made it and the page of the pipeline.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.imaging.dataset import FINE, LEFT_OUT, load_images
from components.runtime.files import read_json

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


def dataset_tags(info: dict[str, Any]) -> list[str]:
    """What tells datasets of one kind apart in a list: their source, and the size of the images."""
    size = info.get("image_size")
    return [_printable(info["name"]), *([f"{size[1]} x {size[0]} px"] if size else [])]


def dataset_description(info: dict[str, Any]) -> str:
    """What a dataset holds, in a line for people, and the hash of its content."""
    counts = info["counts"]
    if info["kind"] == "raw":
        told = f"{info['verdicts']['left_out']} left out"
        counts = {"": counts}
    else:
        told = ", ".join(f"{sum(labels.values())} {split}" for split, labels in counts.items())
    images = sum(sum(labels.values()) for labels in counts.values())
    about = (
        f"{images} images of {_printable(info['name'])} in {len(info['classes'])} classes ({told})"
    )
    return f"{about}, content {info['content']}"


def report_dataset(logger: Logger, folder: Path) -> None:
    """Class counts, the audit's verdicts and reasons as tables, and the preview pictures."""
    info = read_json(folder / "dataset.json")
    counts = info["counts"]
    if info["kind"] == "raw":
        counts = {"all": counts}
    classes = info["classes"]
    rows = [[split, *(counts[split].get(label, 0) for label in classes)] for split in counts]
    _report_table(logger, "images", "by class", ["split", *classes], rows)
    for split, *values in rows:
        logger.report_histogram(
            "class counts", split, values=values, xlabels=classes, yaxis="images", iteration=0
        )
    if info["kind"] == "raw":
        _report_audit(logger, folder, info)
    elif info["left_out"]:
        rows = [[one["path"], one["reason"]] for one in info["left_out"]]
        _report_table(logger, "audit", "left out", ["file", "reason"], rows)
    for picture in sorted(folder.glob("*.jpg")):
        logger.report_image("preview", picture.stem, local_path=str(picture), iteration=0)


def _report_audit(logger: Logger, folder: Path, info: dict[str, Any]) -> None:
    """What ingest found: verdicts, reasons, the files that are not fine, and the images' sizes."""
    rows = [["verdict", verdict.replace("_", " "), n] for verdict, n in info["verdicts"].items()]
    rows += [["left out as", kind, n] for kind, n in info["reasons"].items()]
    rows += [["groups of", "near duplicates", info["near_duplicate_groups"]]]
    _report_table(logger, "audit", "verdicts and reasons", ["", "", "files"], rows)
    told = [image for image in load_images(folder) if image.verdict != FINE]
    told.sort(key=lambda image: image.verdict != LEFT_OUT)
    rows = [[image.path, image.label, image.verdict, image.reason] for image in told]
    _report_table(logger, "audit", "files", ["file", "label", "verdict", "reason"], rows)
    columns = ["label", "", "minimum", "10 %", "median", "90 %", "maximum"]
    rows = [
        [label, name, *values]
        for label, measures in info["distributions"].items()
        for name, values in measures.items()
    ]
    _report_table(logger, "audit", "sizes and brightness", columns, rows)
    page = folder / "left_out.html"
    if info["verdicts"][LEFT_OUT]:
        logger.report_media(
            "audit", "pictures of files left out", local_path=str(page), iteration=0
        )


def _report_table(
    logger: Logger, title: str, series: str, columns: list[str], rows: list[list[Any]]
) -> None:
    """A table of at most `MOST_ROWS` rows, whose last line says how many there are more."""
    shown = [[_printable(cell) for cell in row] for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        more = f"and {len(rows) - MOST_ROWS} more; all are in the files"
        shown.append([more, *[""] * (len(columns) - 1)])
    logger.report_table(title, series, table_plot=[columns, *shown], iteration=0)


def _printable(value: Any) -> Any:
    """Text as valid UTF-8; file names need not be."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


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
        with path.open(newline="", encoding="utf-8") as file:
            columns, *rows = csv.reader(file)
        _report_table(logger, path.stem.replace("_", " "), "table", columns, rows)
    for picture in sorted((folder / "figures").glob("*.png")):
        logger.report_image("evaluation", picture.stem, local_path=str(picture), iteration=0)
