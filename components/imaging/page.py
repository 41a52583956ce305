"""What ClearML's pages show of any dataset: its counts and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.imaging.dataset import load_info
from components.runtime.reporting import report_table
from components.runtime.text import printable


def report_images(logger: Any, folder: Path, counts: dict[str, dict[str, int]]) -> None:
    """Class counts of each split, and the preview pictures."""
    classes = load_info(folder)["classes"]
    rows = [[split, *(counts[split].get(label, 0) for label in classes)] for split in counts]
    classes = [printable(label) for label in classes]
    report_table(logger, "images", "by class", ["split", *classes], rows)
    for split, *values in rows:
        logger.report_histogram(
            "class counts", split, values=values, xlabels=classes, yaxis="images", iteration=0
        )
    for picture in sorted(folder.glob("*.jpg")):
        logger.report_image("preview", picture.stem, local_path=str(picture), iteration=0)
