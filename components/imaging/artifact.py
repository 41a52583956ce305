"""What a raw or processed dataset is as a publication."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.runtime.files import read_json
from components.runtime.stores import DATASET, Artifact
from components.runtime.text import printable


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
