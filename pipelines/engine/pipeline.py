"""A pipeline as the engine sees it: a table of stages, and which output goes into which stage."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from components.runtime.stores import Store
from pipelines.engine.parameters import Parameters

PART = "_part"  # how the names of the steps that share a stage's work go on
CONTENT, VERSION = "content", "version"  # by what of its inputs a stage is keyed


def stage_of(step: str) -> str:
    """The stage that a step, by its name on ClearML, belongs to: parts have a number."""
    return step.partition(PART)[0]


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Stage:
    """A row of the table. Its folder is `components/<name>/`, its values are in `conf/<name>/`."""

    name: str
    schema: type
    """The dataclass of its parameters."""
    settings_of: str = ""
    """The stage whose parameters it has, some of them; it then has no group of its own."""
    option: str = "default"
    """The option of its group of the configuration that a run has by itself."""
    queue: str = "default"
    """The queue that its step waits in by itself."""
    given_by: str = ""
    """The parameter of `run` that names an earlier output to use in its place, such as `model`."""
    published_as: str = ""
    """How references to its outputs begin offline, such as `models/`."""
    needless_with: str = ""
    """The parameter of `run` with which nobody needs its output."""
    keyed_by: str = CONTENT
    """Whether its result depends on what its inputs are, or also on how they tell of themselves."""
    needed: Callable[[Any], bool] = lambda settings: True
    """Whether anybody has a use for its output with these settings."""
    derived: bool = False
    """Whether who takes its output could as well make it of the same inputs: it is not in their
    fingerprints, is made when the stage whose parameters it has runs, and given to others if it is
    there."""
    meant: Callable[[Any], Any] = lambda settings: settings
    """Its settings with what they leave open, such as the kind of what lies at a path."""
    outside: Callable[[Any, Store], dict[str, str]] = _nothing
    """(settings, store) to the content, by name, of what decides its result beside its inputs."""
    beside: Callable[[Any, dict[str, str], Store], dict[str, str]] = _nothing
    """(settings, references, store) to references of further inputs that the DAG does not have."""
    delivers: Mapping[str, str] = field(default_factory=dict)
    """What a run's folder gets of its output: file -> name there."""
    closing: Callable[[Path, str, Any], list[str]] = lambda *_: []
    """(folder of its output, reference, settings of `run`) to the last lines of an offline run."""
    figures: Callable[[Path], dict[str, Any]] = _nothing
    """Folder of its output to the figures by which runs are compared: `RESULTS`."""
    in_pieces: bool = False
    """Whether it makes its output image by image: its step gets `code`, the hash of what decides
    beside parameters and inputs, and may take what an earlier step with the same one made."""
    in_parts: bool = False
    """Whether `parts` parallel steps, of `components/<name>/part.py`, may share its work."""

    def settings(self, config: Any) -> Any:
        """Its parameters, of all of a run."""
        if not self.settings_of:
            return getattr(config, self.name)
        whole = getattr(config, self.settings_of)
        return self.schema(**{one.name: getattr(whole, one.name) for one in fields(self.schema)})

    @property
    def component(self) -> Callable[..., Any]:
        """What ClearML calls; importing it makes it part of the next pipeline."""
        return getattr(importlib.import_module(f"components.{self.name}.component"), self.name)

    @property
    def part_name(self) -> str:
        """The name of the steps that share its work."""
        return f"{self.name}{PART}"

    @property
    def part_component(self) -> Callable[..., Any]:
        """The component of the steps that share its work."""
        return getattr(importlib.import_module(f"components.{self.name}.part"), self.part_name)

    def report(self, logger: Any, folder: Path) -> None:
        """Show its output on a page of ClearML's."""
        importlib.import_module(f"components.{self.name}.page").report(logger, folder)


@dataclass(frozen=True)
class Pipeline:
    """Stages by name in the order in which they run, and the inputs of each."""

    name: str
    version: str
    entry: str
    """The script that an agent runs, relative to the root."""
    table: tuple[Stage, ...]
    dag: Mapping[str, Mapping[str, str]]
    """Stage to its inputs: the name of an argument -> the stage that makes it."""
    objective: str
    """The figure, of those of its stages, that a run returns to a sweep."""
    headline: Callable[[Mapping[str, Any]], str]
    """What a run says at its end, from the figures of its stages; empty without any."""

    def __post_init__(self) -> None:
        _ = self.parameters  # Hydra has to know of them before it composes anything

    @functools.cached_property
    def stages(self) -> dict[str, Stage]:
        """The rows in the order of the DAG."""
        rows = {stage.name: stage for stage in self.table}
        return {name: rows[name] for name in self.dag}

    @functools.cached_property
    def parameters(self) -> Parameters:
        """Every parameter of a run."""
        return Parameters(self.stages)
