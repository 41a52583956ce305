"""The model that a command is to use: by its reference, as the champion, or where it lies."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from components.schema import BadInput
from pipelines.commands import open_store
from pipelines.parameters import Run

if TYPE_CHECKING:
    from components.stores.local import LocalStore
    from components.stores.server import ServerStore

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
        folder = store.fetch(_champion(store) if model == CHAMPION else model)
    if not (folder / FILE).is_file():
        raise BadInput(f"model={model}: is no model, but something else that a run made")
    return folder


def _champion(store: LocalStore | ServerStore) -> str:
    champion = store.champions.current()
    if champion is None:
        raise BadInput(
            f"model={CHAMPION}: there is no champion yet; promote one with evaluate.gate=promote"
        )
    return champion.model
