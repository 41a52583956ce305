"""What a model is as a publication."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.runtime.files import read_json
from components.runtime.stores import MODEL, Artifact

APART = ("speed.csv", "seconds.json", "tensorboard")  # they differ at each making


def model_artifact(
    folder: Path, dataset: str, report: Callable[[Any, Path], None] = lambda logger, folder: None
) -> Artifact:
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
        report=report,
    )
