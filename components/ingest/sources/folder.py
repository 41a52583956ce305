"""`ingest=folder`: a folder with one sub-folder a class."""

from __future__ import annotations

import functools
import hashlib
from multiprocessing.pool import ThreadPool
from pathlib import Path

from components.imaging.walk import walk
from components.ingest.layout import Asked, File
from components.ingest.parameters import Ingest
from components.ingest.sources.kind import (
    Identify,
    Kind,
    Place,
    Resolve,
    by_folders,
    hash_of,
    path_of,
)
from components.runtime.files import read_below
from components.runtime.schema import BadInput


def root_at(path: str | Path, asked: Asked) -> Path:
    """The folder as a whole path; BadInput when it is none."""
    root = Path(path).expanduser().absolute()
    try:
        if root.is_file():
            raise BadInput(f"{asked.told}: it is a file; for a zip or tar archive choose "
                           "ingest=archive")  # fmt: skip
        if not root.is_dir():
            raise BadInput(f"{asked.told}: there is no such folder")
    except OSError as error:  # too long a name, or a folder above that is locked
        raise BadInput(f"{asked.told}: {error.strerror}") from error
    return root


def folder_at(path: str | Path, asked: Asked, name: str = "") -> Place:
    """All files of a folder; BadInput when it is none."""
    root = root_at(path, asked)
    found = walk(root)
    files = [File(file.path, size=file.size, problem=file.problem) for file in found.files]
    return Place(name or root.name, root, None, files, found.set_aside, found.empty)


def content_of(place: Place) -> str:
    """A hash of names and bytes, and of the names of empty folders."""
    assert place.root is not None
    with ThreadPool(8) as pool:  # reading and hashing release the interpreter lock
        hashes = pool.imap(functools.partial(_hash_of, place.root), place.files, chunksize=64)
        parts = [t for f, h in zip(place.files, hashes, strict=True) for t in (f.path, h)]
    return hash_of(*parts, *place.empty)


def _folder(settings: Ingest, asked: Asked) -> Path:
    if not settings.path:
        raise BadInput(f"{asked.told}: give a folder with one sub-folder of images for each class")
    return root_at(settings.path, asked)


def _place(settings: Ingest, asked: Asked, resolve: Resolve | None) -> Place:
    return folder_at(_folder(settings, asked), asked)


def _identity(settings: Ingest, asked: Asked, identify: Identify | None) -> str:
    return content_of(_place(settings, asked, None))


def _hash_of(root: Path, file: File) -> str:
    """A hash of the file's bytes, or why there is none."""
    try:
        return file.problem or hashlib.sha256(read_below(root, file.path)).hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"


KIND = Kind(path_of, _place, by_folders, _folder, _identity, ("layout", "alike"))
