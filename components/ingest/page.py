"""What ClearML's pages show of a raw dataset: its images, and what the audit found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.imaging.dataset import FINE, LEFT_OUT, load_images, load_info
from components.imaging.page import report_images
from components.runtime.reporting import report_table


def report(logger: Any, folder: Path) -> None:
    """Class counts, preview, verdicts, reasons, the files that are not fine, and sizes."""
    info = load_info(folder)
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
    if info["verdicts"][LEFT_OUT]:
        page, title = str(folder / "left_out.html"), "pictures of files left out"
        logger.report_media("audit", title, local_path=page, iteration=0)
