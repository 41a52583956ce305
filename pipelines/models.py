"""The model that a command is to use: by its reference, as the champion, or where it lies."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from components.schema import BadInput
from pipelines.commands import open_store
from pipelines.parameters import Run

CHAMPION = "champion"
FILE = "model.keras"


def model_folder(model: str, run: Run) -> Path:
    """The folder of `model.keras`; `BadInput` when there is none."""
    path = Path(model).expanduser()
    if path.name == FILE and path.is_file():
        return path.parent
    if (path / FILE).is_file():
        return path
    with contextlib.redirect_stdout(sys.stderr):  # ClearML tells there what it downloads
        store = open_store(run)
        reference = store.champion() if model == CHAMPION else model
        if reference is None:
            raise BadInput(
                f"model={CHAMPION}: there is no champion yet; promote one with "
                "evaluate.gate=promote"
            )
        folder = store.fetch(reference)
    if not (folder / FILE).is_file():
        raise BadInput(f"model={model}: is no model, but something else that a run made")
    return folder
