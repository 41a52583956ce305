"""The sources: each becomes a list of files with class and split, and a way to read them."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from components.ingest import archives
from components.ingest.download import cached_path, download, is_address
from components.ingest.layout import File, find_labels, visible
from components.ingest.parameters import Ingest
from components.runtime.schema import BadInput

SAMPLE = Path(__file__).resolve().parents[2] / "data"
Resolve = Callable[[str], Path]  # from a ClearML dataset's name to its local copy
Identify = Callable[[str], str]  # ... and to its id
NO_DATASET = "give the dataset's id, project/name or project/name/version"


@dataclass(frozen=True)
class Source:
    """Files to ingest; `root` is their folder, or None when they are read from `archive`."""

    name: str
    told: str  # how the user said it, for errors: ingest.path=photos
    root: Path | None
    archive: Path | None
    files: list[File]

    def contents(self) -> Iterator[tuple[File, bytes]]:
        """Files with their bytes, read one after the other; those with a problem have none."""
        if self.root is not None:
            for file in self.files:
                try:
                    yield file, b"" if file.problem else (self.root / file.path).read_bytes()
                except OSError as error:
                    yield file._replace(problem=f"cannot be read: {error.strerror}"), b""
            return
        assert self.archive is not None
        yield from ((file, b"") for file in self.files if file.problem)
        wanted = {file.place: file for file in self.files if not file.problem}
        for place, data, problem in archives.read(self.archive, set(wanted)):
            yield wanted[place]._replace(problem=problem), data


def open_source(settings: Ingest, resolve: Resolve | None = None) -> Source:
    """List the files of the source, downloading it first when it is remote.

    BadInput when it is missing, empty, or not laid out as one folder a class.
    """
    told = _told(settings)
    if settings.source == "archive":
        path = _archive(settings, told)
        limits = archives.Limits(settings.max_files, settings.max_archive_gb)
        found = archives.list_members(path, limits, told)
        listed = [
            File(member.path, size=member.size, problem=member.problem, place=place)
            for place, member in enumerate(found)
        ]
        return Source(_stem(path), told, None, path, _with_labels(listed, settings, told))
    root = _root(settings, told, resolve)
    listed = _list(settings, root)
    names = {"sample": "sample", "clearml_dataset": settings.dataset}
    name = names.get(settings.source) or root.name
    return Source(name, told, root, None, _with_labels(listed, settings, told))


def fingerprint(settings: Ingest, identify: Identify | None = None) -> str | None:
    """sha256 that changes exactly when what the source delivers changes; None: not known here.

    Folders by names and bytes, archives by bytes, addresses by themselves and their checksum,
    ClearML datasets by id, which `identify` finds. BadInput when the source is missing.
    """
    told = _told(settings)
    if settings.source == "clearml_dataset":
        if not settings.dataset:
            raise BadInput(f"{told}: {NO_DATASET}")
        return _hash(identify(settings.dataset)) if identify else None
    if settings.source == "archive":
        address = settings.path or ""
        if is_address(address) and settings.sha256:
            return _hash(address, settings.sha256)
        local = cached_path(address, settings) if is_address(address) else _archive(settings, told)
        return _hash(_hash_file(local)) if local.is_file() else None
    root = _root(settings, told, None)
    files = _list(settings, root)
    with ThreadPool(8) as pool:  # reading and hashing release the interpreter lock
        hashes = pool.imap(functools.partial(_hash_of, root), files, chunksize=64)
        return _hash(*(part for f, h in zip(files, hashes, strict=True) for part in (f.path, h)))


def folder_of(settings: Ingest) -> Path | None:
    """Where the files of a source lie that are not copied; None for all other sources."""
    if settings.source not in ("sample", "folder"):
        return None
    return _root(settings, _told(settings), None)


def _told(settings: Ingest) -> str:
    if settings.source == "sample":
        return "ingest=sample"
    if settings.source == "clearml_dataset":
        return f"ingest.dataset={settings.dataset or 'null'}"
    return f"ingest.path={settings.path or 'null'}"


def _root(settings: Ingest, told: str, resolve: Resolve | None) -> Path:
    """The folder of a source that is a folder."""
    if settings.source == "sample":
        root = SAMPLE
    elif settings.source == "clearml_dataset":
        if not settings.dataset:
            raise BadInput(f"{told}: {NO_DATASET}")
        if resolve is None:
            raise BadInput(f"{told}: needs a ClearML server; choose run=local or run=queue")
        root = resolve(settings.dataset)
    else:
        if not settings.path:
            raise BadInput(f"{told}: give a folder with one sub-folder of images for each class")
        root = Path(settings.path).expanduser()
    root = root.absolute()
    if root.is_file():
        raise BadInput(f"{told}: it is a file; for a zip or tar archive choose ingest=archive")
    if not root.is_dir():
        raise BadInput(f"{told}: there is no such folder")
    return root


def _archive(settings: Ingest, told: str) -> Path:
    """The archive as a local file, downloaded if need be."""
    if not settings.path:
        raise BadInput(f"{told}: give the path or the http(s) address of a zip or tar archive")
    if is_address(settings.path):
        return download(settings.path, settings)
    path = Path(settings.path).expanduser().absolute()
    if path.is_dir():
        raise BadInput(f"{told}: it is a folder; choose ingest=folder")
    if not path.is_file():
        raise BadInput(f"{told}: there is no such file")
    if settings.sha256 and _hash_file(path) != settings.sha256.lower():
        raise BadInput(f"{told}: its checksum is not ingest.sha256={settings.sha256}")
    return path


def _with_labels(files: list[File], settings: Ingest, told: str) -> list[File]:
    files = [file for file in files if file.problem or visible(file.path)]
    if not files:
        raise BadInput(f"{told}: it is empty")
    if len(files) > settings.max_files:
        raise BadInput(f"{told}: has more than ingest.max_files={settings.max_files} files")
    labels = find_labels((file.path for file in files if not file.problem), told)
    limit = settings.max_file_mb * 1e6
    result = []
    for file in files:
        label, split = labels.get(file.path, ("", ""))
        path, problem = file.path, file.problem
        if not path.isprintable() and any(ord(letter) < 32 for letter in path):
            path = path.encode("unicode_escape").decode()  # so that tables and pages stay whole
            problem = problem or "its name has control characters"
        elif not problem and not label:
            problem = "not in a class folder"
        elif not problem and file.size > limit:
            problem = f"too large: {file.size / 1e6:.0f} MB"
        result.append(File(path, label, split, file.size, problem, file.place))
    return result


def _list(settings: Ingest, root: Path) -> list[File]:
    """The files of a folder; beside the sample's folders lies the script that draws it."""
    return [file for file in _walk(root) if settings.source != "sample" or "/" in file.path]


def _walk(root: Path) -> Iterator[File]:
    """Every file below `root`, sorted by path; linked folders once each, without loops."""
    seen = set()

    def enter(folder: str, prefix: str) -> Iterator[File]:
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            path = prefix + entry.name
            if not visible(entry.name):
                continue
            if entry.is_dir():
                yield from enter(entry.path, f"{path}/")
            elif entry.is_file():
                yield File(path, size=entry.stat().st_size)
            else:
                yield File(path, problem="not a file")

    try:
        yield from enter(str(root), "")
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be read: {error.strerror}") from error


def _stem(path: Path) -> str:
    """An archive's name without the endings and without the prefix that the download gave it."""
    stem = path.name.split("--", 1)[-1]
    for suffix in (".gz", ".bz2", ".xz", ".tgz", ".tar", ".zip"):
        stem = stem.removesuffix(suffix)
    return stem


def _hash(*parts: str) -> str:
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _hash_of(root: Path, file: File) -> str:
    """A hash of the file's bytes, or why there is none."""
    try:
        return file.problem or _hash_file(root / file.path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
