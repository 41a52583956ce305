"""What ClearML's pages show of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.runtime.files import read_json


def report(logger: Any, folder: Path) -> None:
    """How many images there are of each split, and how many numbers of each, in how many views."""
    facts = read_json(folder / "features.json")
    for split, count in facts["counts"].items():
        logger.report_single_value(f"{split} images", count)
    logger.report_single_value("views of training images", len(facts["views"]))
    logger.report_single_value("numbers an image", facts["width"])
