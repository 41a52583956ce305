"""The model that a command is to use: by its reference, as the champion, or where it lies."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from components.runtime.files import read_json
from components.runtime.schema import BadInput
from components.runtime.stores import Store
from pipelines.engine.command import open_store
from pipelines.engine.parameters import Run

if TYPE_CHECKING:
    from components.export.card import Known

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


def _champion(store: Store) -> str:
    champion = store.champions.current()
    if champion is None:
        raise BadInput(
            f"model={CHAMPION}: there is no champion yet; promote one with evaluate.gate=promote"
        )
    return champion.model


def known_of(folder: Path, model: str, run: Run, licence: str | None) -> Known:
    """The dataset and the evaluation of a model, as far as they are at hand."""
    from components.export.card import Known

    info = read_json(folder / "model.json") if (folder / "model.json").is_file() else {}
    with contextlib.redirect_stdout(sys.stderr):
        store = open_store(run)
        champion = store.champions.current() if model == CHAMPION else None
        reference = store.evaluation_of(info.get("content", ""))
        reference = reference or (champion.evaluation if champion else "")
        metrics = read_json(store.fetch(reference) / "metrics.json") if reference else None
        dataset = store.dataset_info(info.get("dataset", ""))
    return Known(dataset, metrics, reference, licence)
