"""What ClearML's pages show of any dataset: how it is told from others, its counts and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.runtime.files import read_json
from components.runtime.reporting import printable, report_table
from components.runtime.stores import DATASET, Artifact


def dataset_artifact(folder: Path, parent: str | None, **more: Any) -> Artifact:
    """What a raw or processed dataset is, as its `dataset.json` says; `more` are fields."""
    info = read_json(folder / "dataset.json")
    size = info.get("image_size")
    return Artifact(
        kind=DATASET,
        name=info["kind"],
        title=f"{info['kind']} images",
        content=info["content"],
        parent=parent,
        tags=(printable(info["name"]), *([f"{size[1]} x {size[0]} px"] if size else [])),
        description=_description(info),
        facts=info,
        **more,
    )


def _description(info: dict[str, Any]) -> str:
    """What a dataset holds, in a line for people, and the hash of its content."""
    counts = info["counts"]
    if info["kind"] == "raw":
        told = f"{info['verdicts']['left_out']} left out"
        counts = {"": counts}
    else:
        told = ", ".join(f"{sum(labels.values())} {split}" for split, labels in counts.items())
    images = sum(sum(labels.values()) for labels in counts.values())
    about = f"{images} images of {printable(info['name'])} in {len(info['classes'])} classes"
    return f"{about} ({told}), content {info['content']}"


def report_images(logger: Any, folder: Path, counts: dict[str, dict[str, int]]) -> None:
    """Class counts of each split, and the preview pictures."""
    classes = read_json(folder / "dataset.json")["classes"]
    rows = [[split, *(counts[split].get(label, 0) for label in classes)] for split in counts]
    report_table(logger, "images", "by class", ["split", *classes], rows)
    for split, *values in rows:
        logger.report_histogram(
            "class counts", split, values=values, xlabels=classes, yaxis="images", iteration=0
        )
    for picture in sorted(folder.glob("*.jpg")):
        logger.report_image("preview", picture.stem, local_path=str(picture), iteration=0)
