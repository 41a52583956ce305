"""What ClearML's pages show of a raw dataset: its images, and what the audit found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.imaging.dataset import FINE, LEFT_OUT, load_images
from components.imaging.page import report_images
from components.runtime.files import read_json
from components.runtime.reporting import report_table


def report(logger: Any, folder: Path) -> None:
    """Class counts, preview, verdicts, reasons, the files that are not fine, and sizes."""
    info = read_json(folder / "dataset.json")
    report_images(logger, folder, {"all": info["counts"]})
    rows = [["verdict", verdict.replace("_", " "), n] for verdict, n in info["verdicts"].items()]
    rows += [["left out as", kind, n] for kind, n in info["reasons"].items()]
    rows += [["groups of", "near duplicates", info["near_duplicate_groups"]]]
    rows += [["note", note, ""] for note in info.get("notes", [])]
    report_table(logger, "audit", "verdicts and reasons", ["", "", "files"], rows)
    told = [image for image in load_images(folder) if image.verdict != FINE]
    told.sort(key=lambda image: image.verdict != LEFT_OUT)
    rows = [[image.path, image.label, image.verdict, image.reason] for image in told]
    report_table(logger, "audit", "files", ["file", "label", "verdict", "reason"], rows)
    columns = ["label", "", "minimum", "10 %", "median", "90 %", "maximum"]
    rows = [
        [label, name, *values]
        for label, measures in info["distributions"].items()
        for name, values in measures.items()
    ]
    report_table(logger, "audit", "sizes and brightness", columns, rows)
    page = folder / "left_out.html"
    if info["verdicts"][LEFT_OUT]:
        logger.report_media(
            "audit", "pictures of files left out", local_path=str(page), iteration=0
        )
