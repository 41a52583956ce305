"""Where published things live: a local folder or a ClearML server, behind one interface."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from components.runtime.champions import Champions
from components.runtime.stores.attempts import Attempt

PIPELINE = "pets"  # name of the pipeline on ClearML
STEPS = "/.pipelines/"  # ClearML keeps a pipeline's runs, steps and models in a hidden project

DATASET, MODEL = "dataset", "model"  # kinds that ClearML has pages of their own for
FEATURE = "feature"  # what can be made again whenever it is gone
WEIGHTS = "model.keras"  # the file of a model that a registry keeps


def steps_project(project: str) -> str:
    """The hidden project below `project` with the pipeline's runs, their steps and models."""
    return f"{project}{STEPS}{PIPELINE}"


def pieces_key(code: str, *deciding: Any) -> str:
    """What `Artifact.pieces` says of pieces that `code` and these values decide; empty without code
    that can be relied on."""
    return hashlib.sha256(json.dumps([code, *deciding]).encode()).hexdigest()[:16] if code else ""


class Identity(NamedTuple):
    """`content`: the hash of what a thing is to those who use it; `version`: of all its bytes."""

    content: str
    version: str


@dataclass(frozen=True)
class Artifact:
    """What a folder that is about to be published is."""

    kind: str
    """`dataset`, `model`, or any other word for files."""
    name: str = ""
    """What tells it from others of its kind: raw, or small_resnet."""
    title: str = ""
    """What a person calls it: raw images, or small_resnet classifier."""
    content: str = ""
    """Hash of what it is to those who use it; empty: its version."""
    apart: tuple[str, ...] = ()
    """Files and folders that differ at each making, such as times: no part of the version."""
    pieces: str = ""
    """Hash of all that made its pieces, but for what they are made of: publications of the same
    one may take pieces from it. Empty: none may."""
    keep: int = 0
    """How many publications of its kind and name stay, the newest; 0: all. For what can be made
    again whenever it is gone."""
    parent: str | None = None
    """The reference of a dataset that this one was made from."""
    tags: tuple[str, ...] = ()
    description: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What a registry shows beside it, by name."""
    labels: tuple[str, ...] = ()
    """The classes of a model."""
    shown: tuple[str, ...] = ()
    """Files that its page offers one by one."""
    report: Callable[[Any, Path], None] = lambda logger, folder: None
    """Shows the folder on a page of ClearML's: (logger, folder)."""


class Store(Protocol):
    """Publishes what a step made, and hands it to others by reference, checked."""

    champions: Champions
    scratch: Path
    """A folder of this machine for what need not be kept."""

    def publish(self, folder: Path, artifact: Artifact) -> str:
        """Keep a folder for good, unless this version is kept already; its reference."""

    def fetch(self, reference: str, files: Collection[str] = ()) -> Path:
        """The folder behind a reference, each file as it was published; else `BadInput`.

        Other files than those named, if any are, may be missing in it.
        """

    def fetch_weights(self, reference: str) -> Path:
        """The file with the weights of a model."""

    def identity(self, reference: str) -> Identity:
        """What a published thing is, without fetching it; `BadInput` when there is none."""

    def with_pieces(self, pieces: str, files: Collection[str] = ()) -> Iterator[Path]:
        """Folders of earlier publications with these pieces, fetched one by one, newest first."""

    def latest(self, kind: str) -> str | None:
        """The reference of that kind, `models/`, that was published last; None without any."""

    def is_intact(self, reference: str) -> bool:
        """Whether a published thing is there and whole."""

    def remove(self, references: list[str]) -> None:
        """Free the space of what nobody needs any more."""

    def attempt(
        self, key: str, complete_epochs: Callable[[Path], int]
    ) -> AbstractContextManager[Attempt]:
        """An attempt at the training `key`, whose checkpoint outlives it."""

    def identify_dataset(self, name: str) -> str:
        """The id of a ClearML dataset by id, project/name or project/name/version."""

    def resolve_dataset(self, name: str) -> Path:
        """A local copy of any ClearML dataset, named as for `identify_dataset`."""

    def dataset_info(self, content: str) -> dict[str, Any] | None:
        """What `dataset.json` says of the processed dataset of that content; None without it."""

    def evaluation_of(self, content: str) -> str | None:
        """The newest evaluation of the model of that content, or None."""

    def report_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """One point on each training curve."""
