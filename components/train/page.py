"""What ClearML's pages show of a model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from components.runtime.files import read_json
from components.runtime.reporting import curve


def report(logger: Any, folder: Path) -> None:
    """The figures and pictures, and the curves, which the training step reports as it goes."""
    report_figures(logger, folder)
    for name in ("history.csv", "speed.csv"):
        with (folder / name).open(newline="") as file:
            for row in csv.DictReader(file):
                epoch = int(row.pop("epoch"))
                for metric, value in row.items():
                    if value:
                        title, series = curve(metric)
                        logger.report_scalar(title, series, float(value), iteration=epoch)


def report_figures(logger: Any, folder: Path) -> None:
    """The validation figures, and what augmentation does to an image."""
    for name, value in read_json(folder / "model.json")["validation"].items():
        logger.report_single_value(f"validation {name}", value)
    for picture in sorted(folder.glob("*.png")):
        logger.report_image("training", picture.stem, local_path=str(picture), iteration=0)
