"""What a kind of source has to say, and what all of them share."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from components.ingest import archives
from components.ingest.layout import Asked, File, Labels, empty_classes, find_labels
from components.ingest.naming import listed
from components.ingest.parameters import Ingest
from components.runtime.files import read_below

Resolve = Callable[[str], Path]  # from a ClearML dataset's name to its local copy
Identify = Callable[[str], str]  # ... and to its id
CONTROL_CHARACTERS = "its name has control characters"


class Place(NamedTuple):
    """Where files are, and which; their labels are not known yet."""

    name: str
    root: Path | None  # their folder, or None when they are read from `archive`
    archive: Path | None
    files: list[File]  # nothing hidden or made by machines
    set_aside: list[str]  # folders with such
    empty: list[str]  # folders without a file


class Labelled(NamedTuple):
    """The files of a place with their labels, and what a person should know of it."""

    files: list[File]
    notes: list[str]


class Kind(NamedTuple):
    """A kind of source; each function gets the settings, and how they were asked for."""

    told: Callable[[Ingest], str]  # how a user says it: ingest.path=photos
    place: Callable[[Ingest, Asked, Resolve | None], Place]
    label: Callable[[Place, Ingest, Asked], Labelled]
    folder: Callable[[Ingest, Asked], Path | None]  # where its files stay; None: they are copied
    identity: Callable[[Ingest, Asked, Identify | None], str | None]  # of what it delivers
    parameters: tuple[str, ...]  # its own, for the commands in messages


@dataclass(frozen=True)
class Source:
    """Files to ingest; `root` is their folder, or None when they are read from `archive`."""

    name: str
    told: str  # how the user said it, for errors: ingest.path=photos
    root: Path | None
    archive: Path | None
    files: list[File]
    notes: list[str]  # what was set aside, what is empty, and such

    def contents(self) -> Iterator[tuple[File, bytes]]:
        """Files with their bytes, read one after the other; those with a problem have none."""
        if self.root is not None:
            for file in self.files:
                try:
                    yield file, b"" if file.problem else read_below(self.root, file.path)
                except OSError as error:
                    yield file._replace(problem=f"cannot be read: {error.strerror}"), b""
            return
        assert self.archive is not None
        yield from ((file, b"") for file in self.files if file.problem)
        wanted = {file.place: file for file in self.files if not file.problem}
        for place, data, problem in archives.read(self.archive, set(wanted)):
            yield wanted[place]._replace(problem=problem), data


def path_of(settings: Ingest) -> str:
    """How the sources with a path are asked for."""
    return f"ingest.path={settings.path or 'null'}"


def by_folders(place: Place, settings: Ingest, asked: Asked) -> Labelled:
    """Classes and splits are folders."""
    paths = (file.path for file in place.files if not file.problem)
    found = find_labels(paths, asked, settings.layout, settings.alike)
    if empty := empty_classes(found, place.empty):
        empty = [f"class folders without files: {listed(empty)}"]
    return with_labels(place, found, "not in a class folder", empty)


def with_labels(place: Place, found: Labels, missing: str, notes: Iterable[str] = ()) -> Labelled:
    """The files with their labels; `missing` is the problem of those that are not in `found`.

    Those with an empty label are set aside, with a note how to predict them.
    """
    files, aside = [], []
    for file in place.files:
        label, split = found.get(file.path, ("", ""))
        if split and not label:
            aside.append(file.path)
            continue
        problem = file.problem or ("" if label else missing)
        if not file.problem and has_control_characters(file.path):
            problem = CONTROL_CHARACTERS
        files.append(file._replace(label=label, split=split, problem=problem))
    return Labelled(files, [*notes_on(place, aside), *notes])


def notes_on(place: Place, unlabelled: list[str]) -> list[str]:
    """What was set aside of a place."""
    notes = []
    if place.set_aside:
        notes.append(f"set aside, as hidden or made by machines: {listed(place.set_aside)}")
    if unlabelled:
        folder = os.path.commonpath(unlabelled)
        if len(unlabelled) == 1:
            folder = folder.rpartition("/")[0]
        images = str(place.root / folder) if place.root else folder
        command = shlex.join(["python", "pipelines/predict.py", f"images={images}"])
        unpack = "" if place.root else "unpack the archive, then "
        notes.append(
            f"set aside, as they have no labels: {len(unlabelled)} files in {folder or images}; "
            f"to predict them: {unpack}{command}"
        )
    return notes


def copied(settings: Ingest, asked: Asked) -> None:
    """Of a source whose files do not stay where they are."""


def has_control_characters(path: str) -> bool:
    """Whether the path would break a table's lines."""
    return not path.isprintable() and any(ord(letter) < 32 for letter in path)


def hash_of(*parts: str) -> str:
    """sha256 of several texts."""
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
