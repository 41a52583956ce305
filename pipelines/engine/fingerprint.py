"""What a step depends on, and so why it runs.

A step's fingerprint covers its parameters, the content of its inputs, the source that it imports
(without comments, docstrings and formatting) and the versions of the packages that this source
imports. Equal fingerprints mean equal output; nothing else does.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from packaging.requirements import Requirement

from components.runtime.files import read_json, write_json
from components.runtime.source import ROOT, parse, source_hash

log = logging.getLogger(__name__)

PROJECT_PACKAGES = ("components",)
IMPORTED_AS = {  # where the names differ
    "PIL": "pillow",
    "pillow_heif": "pillow-heif",
    "sklearn": "scikit-learn",
}


@dataclass(frozen=True)
class Dependencies:
    """Everything that decides the output of a step, each part as name -> value."""

    stage: str
    parameters: dict[str, str]
    inputs: dict[str, str]
    source: dict[str, str]
    packages: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """A hash of 32 hex digits over all of it."""
        text = json.dumps(self.__dict__, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def changes(self, earlier: Dependencies) -> list[str]:
        """What differs from `earlier`, in words."""
        words = _differences(earlier.parameters, self.parameters, f"{self.stage}.{{}} {{}} -> {{}}")
        words += _differences(earlier.inputs, self.inputs, "input changed: {}")
        words += _differences(earlier.source, self.source, "{} changed")
        words += _differences(earlier.packages, self.packages, "{} {} -> {}")
        return words


def _differences(old: Mapping[str, str], new: Mapping[str, str], words: str) -> list[str]:
    """One text for each name whose value differs: `words` with the name and both values."""
    told = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            told.append(f"{name} removed")
        elif name not in old:
            told.append(f"{name} added")
        elif old[name] != new[name]:
            told.append(words.format(name, old[name], new[name]))
    return told


def dependencies(stage: str, parameters: dict[str, str], inputs: dict[str, str]) -> Dependencies:
    """The dependencies of a step of `stage` with these parameters and contents of its inputs."""
    files = source_files(stage)
    return Dependencies(
        stage=stage,
        parameters=parameters,
        inputs=inputs,
        source={path: source_hash(path) for path in files},
        packages={name: _version(name, stage) for name in packages_of(files)},
    )


def read_sources(stages: Iterable[str]) -> None:
    """Read the source of all stages now, before another thread of this process parses, too."""
    for stage in stages:
        for path in source_files(stage):
            source_hash(path)


@functools.cache
def source_files(stage: str) -> tuple[str, ...]:
    """The files that a step of `stage` uses, relative to the root: its imports, followed.

    Files of the stage's folder that are not Python (a template) count as well, but for the list of
    packages, whose installed versions are a dependency by themselves.
    """
    folder = ROOT / "components" / stage
    found: set[Path] = set()
    waiting = [folder / "component.py"]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in _imported_names(path):
            waiting += _project_files(name)
    assets = {
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix != ".py" and path.name != "requirements.txt"
    }
    return tuple(sorted(path.relative_to(ROOT).as_posix() for path in found | assets))


def _project_files(name: str) -> list[Path]:
    """The files that importing the dotted `name` runs; none when it is not the project's."""
    parts = name.split(".")
    if parts[0] not in PROJECT_PACKAGES:
        return []
    files = []
    for count in range(1, len(parts) + 1):
        base = ROOT.joinpath(*parts[:count])
        files += [
            path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()
        ]
    return files


@functools.cache
def _imported_names(path: Path) -> tuple[str, ...]:
    """Every dotted name that a Python file imports, wherever in the file."""
    names = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def packages_of(files: Iterable[str]) -> set[str]:
    """The third-party packages that `files` import, by the names of their distributions."""
    modules = {
        name.split(".")[0]
        for path in files
        if path.endswith(".py")
        for name in _imported_names(ROOT / path)
    }
    third_party = modules - set(sys.stdlib_module_names) - set(PROJECT_PACKAGES)
    return {IMPORTED_AS.get(module, module) for module in third_party}


def _version(distribution: str, stage: str) -> str:
    """The installed version, or else the one that an agent would install for the step.

    An agent's controller has no TensorFlow, but the steps that it starts do.
    """
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        lines = (ROOT / "components" / stage / "requirements.txt").read_text().splitlines()
        for pinned in map(Requirement, lines):
            if pinned.name == distribution and (not pinned.marker or pinned.marker.evaluate()):
                return str(pinned.specifier).removeprefix("==")
        return "missing"


@dataclass(frozen=True)
class Record:
    """A finished step: what it depended on, and the reference of what it made."""

    dependencies: Dependencies
    reference: str
    run: str
    finished: str


def reasons(wanted: Dependencies, earlier: list[Record]) -> str:
    """How a step differs from the nearest of `earlier` ones, the newest of those, in words."""
    if not earlier:
        return "never run"
    newest_first = sorted(earlier, key=lambda record: record.finished, reverse=True)
    changes = [wanted.changes(record.dependencies) for record in newest_first]
    return ", ".join(min(changes, key=len)) or "its output is missing or was altered"


class Records:
    """The finished steps of the offline mode, one JSON file each below `outputs/cache/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, wanted: Dependencies) -> Record | None:
        """The finished step with the same fingerprint."""
        return self._load(self.folder / wanted.stage / f"{wanted.fingerprint}.json")

    def save(self, finished: Dependencies, reference: str, run: str) -> None:
        """Remember a step that is complete and published."""
        path = self.folder / finished.stage / f"{finished.fingerprint}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        content = {"reference": reference, "run": run, "finished": now}
        write_json(path, content | {"dependencies": finished.__dict__})

    def why(self, wanted: Dependencies) -> str:
        """Why a step has to run: how it differs from the nearest earlier one, in words."""
        paths = (self.folder / wanted.stage).glob("*.json")
        return reasons(wanted, [record for path in paths if (record := self._load(path))])

    def _load(self, path: Path) -> Record | None:
        try:
            content = read_json(path)
            return Record(**content | {"dependencies": Dependencies(**content["dependencies"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            log.warning("ignoring the damaged cache record %s", path)
            return None
