"""What ClearML's pages show of a processed dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.imaging.page import report_images
from components.runtime.files import read_json
from components.runtime.reporting import report_table


def report(logger: Any, folder: Path) -> None:
    """Class counts of each split, the preview, and what was left out."""
    info = read_json(folder / "dataset.json")
    report_images(logger, folder, info["counts"])
    if info["left_out"]:
        rows = [[one["path"], one["reason"]] for one in info["left_out"]]
        report_table(logger, "audit", "left out", ["file", "reason"], rows)
