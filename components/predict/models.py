"""The model that a person means: a reference, `champion`, `latest`, a run's folder, its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

from components.runtime.files import file_hash, read_json
from components.runtime.schema import BadInput
from components.runtime.stores import Store
from components.runtime.stores.local_store import LocalStore

log = logging.getLogger(__name__)

CHAMPION, LATEST = "champion", "latest"
MODELS = "models/"  # how their references begin offline
FILE, RUN, METRICS = "model.keras", "stages.json", "metrics.json"


class Found(NamedTuple):
    """A model's folder, with `model.keras`, and the evaluation of this model where one is known."""

    folder: Path
    name: str  # its reference, or where it lies
    info: dict[str, Any]  # what model.json says; empty where none can be read
    evaluation: str  # reference or folder; empty for none
    metrics: dict[str, Any]  # of the evaluation

    @property
    def temperature(self) -> float | None:
        """What the evaluation divides the logits by; None where it leaves them as they are."""
        return temperature_of(self.metrics)


def temperature_of(metrics: dict[str, Any]) -> float | None:
    """The temperature that the evaluation with this metrics.json applied; None for none."""
    told = metrics.get("temperature", {})
    return told["temperature"] if told.get("applied") else None


def find_model(model: str, store: Store) -> Found:
    """The model behind what a person wrote; `BadInput` when there is none."""
    if not model.strip():
        raise BadInput(
            "model=: names none; give champion, latest, a reference, a model's or a run's folder"
        )
    evaluation, run, path = "", None, Path(model).expanduser()
    if model in (CHAMPION, LATEST):
        name, evaluation = _in_use(model, store)
        folder = store.fetch(name)
    elif path.is_file() and path.name != FILE:
        raise BadInput(f"model={model}: a model's file is named {FILE}; give it, or its folder")
    elif path.exists():
        folder = path.parent if path.is_file() else path
        name = str(folder)
        if (folder / RUN).is_file():
            run = folder
            folder, evaluation = _of_run(run, model, store)
        elif not (folder / FILE).is_file():
            raise BadInput(f"model={model}: has no {FILE}, and is no run's folder")
    else:
        folder, name = store.fetch(model), model
    if not (folder / FILE).is_file():
        raise BadInput(f"model={model}: is no model, but something else that a run made")
    info = _read(folder / "model.json")
    content = info.get("content", "")
    return Found(folder, name, info, *_evaluation(content, evaluation, run, store))


def _in_use(model: str, store: Store) -> tuple[str, str]:
    """The champion and the comparison that promoted it; the newest model where there is none."""
    champion = store.champions.current() if model == CHAMPION else None
    if champion:
        return champion.model, champion.evaluation
    newest = store.latest(MODELS)
    if newest is None:
        missing = "no champion and no model" if model == CHAMPION else "no model"
        raise BadInput(
            f"model={model}: there is {missing} yet; train one: python pipelines/pets_pipeline.py"
        )
    if model == CHAMPION:
        log.info("there is no champion yet; the newest model is taken: %s", newest)
    return newest, ""


def _of_run(run: Path, model: str, store: Store) -> tuple[Path, str]:
    """The folder of the model that a run trained, or started from, and its evaluation."""
    try:
        made = {step["stage"]: str(step["reference"]) for step in read_json(run / RUN)}
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"model={model}: its {RUN} is damaged; name the model itself") from None
    evaluation = made.get("evaluate", "")
    if "train" not in made:
        if not (run / FILE).is_file():
            raise BadInput(f"model={model}: this run made no model; name another run, or a model")
        return run, evaluation
    try:
        folder = _fetch(made["train"], run, store)
    except BadInput as error:
        raise BadInput(
            f"model={model}: the model of this run is not here; if a server has it, add run=local "
            f"({error})"
        ) from None
    if (run / FILE).is_file() and file_hash(run / FILE) != file_hash(folder / FILE):
        raise BadInput(
            f"model={model}: {FILE} there is not the one that the run made; "
            f"use model={made['train']}, or take the file to a folder of its own"
        )
    return folder, evaluation


def _fetch(reference: str, run: Path | None, store: Store) -> Path:
    """What a run made: in the outputs around the run, wherever these lie now, or in the store."""
    for outputs in run.resolve().parents if run else ():
        if (outputs / reference).is_dir():
            return LocalStore(outputs).fetch(reference)
    return store.fetch(reference)


def _read(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none that can be read."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _evaluation(
    content: str, preferred: str, run: Path | None, store: Store
) -> tuple[str, dict[str, Any]]:
    """An evaluation of the model of that content: the preferred one if it is, else the newest."""
    for reference in (preferred, store.evaluation_of(content)):
        try:
            metrics = _read(_fetch(reference, run, store) / METRICS) if reference else {}
        except BadInput:
            continue  # gone: a model needs none to predict
        if metrics and metrics.get("model") in (content, None):
            return reference, metrics
    return "", {}
