"""What a registry and ClearML's pages show of a model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from components.runtime.files import read_json
from components.runtime.reporting import curve
from components.runtime.stores import MODEL, Artifact

APART = ("speed.csv", "seconds.json", "tensorboard")  # they differ at each making


def model_artifact(folder: Path, dataset: str) -> Artifact:
    """What a model is, as its `model.json` says; `dataset` is the reference it was trained on."""
    info = read_json(folder / "model.json")
    validation = {f"validation {name}": value for name, value in info["validation"].items()}
    return Artifact(
        kind=MODEL,
        name=info["architecture"],
        title=f"{info['architecture']} classifier",
        content=info["content"],
        apart=APART,
        tags=(info["architecture"],),
        description=f"trained on dataset {dataset}",
        facts={"dataset": dataset, "epochs": info["epochs"], **validation},
        labels=tuple(info["classes"]),
        report=_report_figures,
    )


def report(logger: Any, folder: Path) -> None:
    """The figures and pictures, and the curves, which the training step reports as it goes."""
    _report_figures(logger, folder)
    for name in ("history.csv", "speed.csv"):
        with (folder / name).open(newline="") as file:
            for row in csv.DictReader(file):
                epoch = int(row.pop("epoch"))
                for metric, value in row.items():
                    if value:
                        title, series = curve(metric)
                        logger.report_scalar(title, series, float(value), iteration=epoch)


def _report_figures(logger: Any, folder: Path) -> None:
    """The validation figures, and what augmentation does to an image."""
    for name, value in read_json(folder / "model.json")["validation"].items():
        logger.report_single_value(f"validation {name}", value)
    for picture in sorted(folder.glob("*.png")):
        logger.report_image("training", picture.stem, local_path=str(picture), iteration=0)
