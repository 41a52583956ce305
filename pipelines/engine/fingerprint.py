"""What a step depends on, and so why it runs.

A step's fingerprint covers what decides its output: its parameters, the content of its inputs, the
source of its stage and of what it imports (without comments, docstrings and layout), the versions
of the packages that this source imports, and what of the environment changes the arithmetic. Equal
fingerprints mean equal output; nothing else does.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from components.runtime import environment, storage
from components.runtime.files import read_json, write_json
from components.runtime.source import (
    PROJECT_PACKAGES,
    ROOT,
    followed,
    imported_names,
    source_hash,
)

log = logging.getLogger(__name__)

IMPORTED_AS = {  # where the names differ
    "PIL": "pillow",
    "pillow_heif": "pillow-heif",
    "sklearn": "scikit-learn",
}
OF_THE_FRAME = {"clearml"}  # a stage's work does not know it
BESIDE = ("frame", "python")  # recorded with a step, but not in its fingerprint

Part = TypeVar("Part")


@dataclass(frozen=True)
class Dependencies:
    """Everything that decides the output of a step, each part as name -> value; and what does not.

    Not in the fingerprint: the version of Python, since all that computes is in packages whose
    versions count, and the files of the frame, which only have to be the same where the step runs.
    """

    stage: str
    parameters: dict[str, str]
    inputs: dict[str, str]
    source: dict[str, str]
    packages: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    frame: dict[str, str] = field(default_factory=dict)
    python: str = ""

    @property
    def fingerprint(self) -> str:
        """A hash of 32 hex digits over all that decides."""
        deciding = {name: part for name, part in self.__dict__.items() if name not in BESIDE}
        return _hash(deciding)[:32]

    @property
    def code(self) -> str:
        """A hash of 16 hex digits over all that decides but for the parameters and the inputs."""
        deciding = [self.stage, self.source, self.packages, self.environment]
        return _hash(deciding)[:16]

    def changes(self, earlier: Dependencies) -> list[str]:
        """What differs from `earlier`, in words."""
        words = _differences(earlier.parameters, self.parameters, f"{self.stage}.{{}} {{}} -> {{}}")
        words += _differences(earlier.inputs, self.inputs, "input changed: {}")
        words += _differences(earlier.source, self.source, "{} changed")
        words += _differences(earlier.packages, self.packages, "{} {} -> {}")
        unset = dict.fromkeys(earlier.environment | self.environment, "unset")
        old, new = unset | earlier.environment, unset | self.environment
        return words + _differences(old, new, "{} {} -> {}")

    @classmethod
    def of(cls, content: Any) -> Dependencies:
        """What was written of a step; `ValueError` for anything of another shape."""
        return _made(cls, content)


def _hash(deciding: Any) -> str:
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _made(kind: type[Part], content: Any, **more: Any) -> Part:
    """Of its fields in `content` and `more`; `ValueError` where one is no text or dict of texts."""
    shape = {one.name: str if one.type == "str" else dict for one in fields(kind)}
    if not isinstance(content, dict) or content.keys() | more.keys() != shape.keys():
        raise ValueError("not the keys of a record")
    for name, value in content.items():
        texts = [*value, *value.values()] if isinstance(value, dict) else [value]
        if not isinstance(value, shape[name]) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{name} is no {shape[name].__name__} of texts")
    return kind(**content, **more)


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
    packages = packages_of(files) - OF_THE_FRAME
    frame = () if storage.is_local() else step_files(stage)  # offline it is this process
    return Dependencies(
        stage=stage,
        parameters=parameters,
        inputs=inputs,
        source={path: source_hash(path) for path in files},
        packages={name: _version(name, stage) for name in packages | {environment.FORMAT_NAME}},
        environment=environment.settings() if environment.needed_by(packages) else {},
        frame={path: source_hash(path) for path in frame if path not in files},
        python=platform.python_version(),
    )


def read_sources(stages: Iterable[str]) -> None:
    """Read the source of all stages now: what is edited later is not what this process runs."""
    for stage in stages:
        for path in source_files(stage):
            source_hash(path)


@functools.cache
def source_files(stage: str) -> tuple[str, ...]:
    """The files that decide what a step of `stage` makes, relative to the root."""
    return files_of(stage, decides_nothing)


def files_of(stage: str, leave_out: Callable[[str], bool]) -> tuple[str, ...]:
    """The files that a stage's code imports, but for some; with those that are not Python.

    Templates and the like are not imported: all in the stage's folder count, and of other folders
    those that the code names.
    """
    python = followed(f"components.{stage}.component", leave_out)
    code = "".join((ROOT / path).read_text(encoding="utf-8") for path in sorted(python))
    folders = {path.split("/")[1] for path in python if path.count("/") > 1}
    assets = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / "components" / folder).rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and path.name[0] != "."
        and (folder == stage or path.name in code)
    }
    return tuple(
        sorted(python | assets - {f"components/{one}/requirements.txt" for one in folders})
    )


def decides_nothing(path: str) -> bool:
    """Whether a file is of the frame, for which `FORMAT` stands, or shows what was made."""
    return path.startswith("components/runtime/") or path.endswith("/page.py")


@functools.cache
def step_files(stage: str) -> tuple[str, ...]:
    """All files of the project that a step of `stage` runs."""
    return tuple(sorted(followed(f"components.{stage}.component")))


def packages_of(files: Iterable[str]) -> set[str]:
    """The third-party packages that `files` import, by the names of their distributions."""
    modules = {
        name.split(".")[0]
        for path in files
        if path.endswith(".py")
        for name in imported_names(ROOT / path)
    }
    third_party = modules - set(sys.stdlib_module_names) - set(PROJECT_PACKAGES)
    return {IMPORTED_AS.get(module, module) for module in third_party}


def _version(distribution: str, stage: str) -> str:
    """The installed version, or else the one that an agent would install for the step.

    An agent's controller has no TensorFlow, but the steps that it starts do.
    """
    found = environment.version(distribution)
    if found == environment.MISSING:
        from packaging.requirements import Requirement

        lines = (ROOT / "components" / stage / "requirements.txt").read_text().splitlines()
        for pinned in map(Requirement, lines):
            if pinned.name == distribution and (not pinned.marker or pinned.marker.evaluate()):
                return str(pinned.specifier).removeprefix("==")
    return found


@dataclass(frozen=True)
class Record:
    """A finished step: what it depended on, and the reference of what it made."""

    dependencies: Dependencies
    reference: str
    run: str
    finished: str

    @classmethod
    def of(cls, content: Any) -> Record:
        """What was written of a finished step; `ValueError` for anything of another shape."""
        whole = dict(content) if isinstance(content, dict) else {}
        described = Dependencies.of(whole.pop("dependencies", None))
        return _made(cls, whole, dependencies=described)


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
        path = self.folder / wanted.stage / f"{wanted.fingerprint}.json"
        record = self._load(path)
        if record and record.dependencies.fingerprint != wanted.fingerprint:
            log.warning("ignoring the damaged cache record %s", path)
            return None
        return record

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
            return Record.of(read_json(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            log.warning("ignoring the damaged cache record %s", path)
            return None
