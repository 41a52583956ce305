"""`ingest=clearml_dataset`: a dataset of the ClearML server, laid out as a folder is."""

from __future__ import annotations

from components.ingest.layout import Asked
from components.ingest.parameters import Ingest
from components.ingest.sources.folder import folder_at
from components.ingest.sources.kind import (
    Identify,
    Kind,
    Place,
    Resolve,
    by_folders,
    copied,
    hash_of,
)
from components.runtime.schema import BadInput


def _told(settings: Ingest) -> str:
    return f"ingest.dataset={settings.dataset or 'null'}"


def _dataset(settings: Ingest, asked: Asked) -> str:
    if not settings.dataset:
        raise BadInput(f"{asked.told}: give the dataset's id, project/name or project/name/version")
    return settings.dataset


def _place(settings: Ingest, asked: Asked, resolve: Resolve | None) -> Place:
    dataset = _dataset(settings, asked)
    if resolve is None:
        raise BadInput(f"{asked.told}: needs a ClearML server; choose run=local or run=queue")
    return folder_at(resolve(dataset), asked, dataset)


def _identity(settings: Ingest, asked: Asked, identify: Identify | None) -> str | None:
    dataset = _dataset(settings, asked)
    return hash_of(identify(dataset)) if identify else None


KIND = Kind(_told, _place, by_folders, copied, _identity, ("layout", "alike"))
