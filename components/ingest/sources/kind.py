"""What a source says of itself, and what all of them share."""

from __future__ import annotations

import functools
import hashlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

from components.imaging.walk import set_aside, visible, walk
from components.ingest import archives
from components.ingest.buckets import Bucket
from components.ingest.download import cached_path, download, is_address, shown
from components.ingest.layout import Asked, File, Labels, empty_classes, find_labels
from components.ingest.naming import listed
from components.ingest.parameters import Ingest, is_bucket
from components.runtime.files import read_below, stamp_of
from components.runtime.hashes import Hashes, known_file_hash

Resolve = Callable[[str], Path]  # from a ClearML dataset's name to its local copy
Identify = Callable[[str], str]  # ... and to its id
Labelled = tuple[list[File], list[str]]  # files with their labels, and what a person should know


@dataclass(frozen=True)
class Source:
    """Files to ingest; `root` is their folder, or None when they are read from `archive`."""

    name: str
    told: str  # how the user said it, for errors: ingest.path=photos
    root: Path | None
    archive: Path | None
    files: list[File]  # nothing hidden or made by machines
    set_aside: list[str]  # folders with such
    empty: list[str]  # folders without a file
    notes: list[str]  # what was set aside, what is empty, and such
    known: Hashes  # of the files, by their names
    stays: bool = True  # where it is now; else its files are packed

    def contents(self, files: list[File] | None = None) -> Iterator[tuple[File, bytes]]:
        """Files with their bytes, read one after the other; those with a problem have none."""
        files = self.files if files is None else files
        if self.root is not None:
            for file in files:
                try:
                    yield file, b"" if file.problem else read_below(self.root, file.path)
                except OSError as error:
                    yield file._replace(problem=f"cannot be read: {error.strerror}"), b""
            return
        assert self.archive is not None
        yield from ((file, b"") for file in files if file.problem)
        wanted = {file.place: file for file in files if not file.problem}
        for place, data, problem in archives.read(self.archive, set(wanted)):
            yield wanted[place]._replace(problem=problem), data

    def hash_of(self, file: File) -> str:
        """The sha256 of a file that did not change since it was read; empty: not known."""
        return "" if file.problem else self.known.get(self._name(file), file.stamp)

    def learn(self, file: File, sha256: str) -> None:
        """Keep the hash of a file that was read."""
        self.known.add(self._name(file), file.stamp, sha256)

    def hashes(self) -> list[str]:
        """The sha256 of each file, read where that is not known; or why there is none."""
        files = [file for file in self.files if not file.problem]
        found = {self._name(file): self.hash_of(file) for file in files}
        unknown = [file for file in files if not found[self._name(file)]]
        if self.root is not None:
            with ThreadPool(8) as pool:  # reading and hashing release the interpreter lock
                read = pool.map(functools.partial(_hash_at, self.root), unknown, chunksize=64)
        else:
            read = [(file, _sha256(data)) for file, data in self.contents(unknown)]
        for file, sha256 in read:
            found[self._name(file)] = file.problem or sha256
            if not file.problem:
                self.learn(file, sha256)
        return [file.problem or found[self._name(file)] for file in self.files]

    def _name(self, file: File) -> str:
        return str(file.place) if self.root is None else file.path


class Kind:
    """A kind of source with the settings: where its files are, and which labels they have.

    This one is a folder, an archive or the address of one, whose folders are the classes.
    """

    parameter = "path"  # says where it is
    wanted = "a folder or an archive with images"  # ... if it says nothing
    takes = ("folder", "file")
    own: tuple[str, ...] = ("layout", "alike")  # its parameters, for the commands in messages

    def __init__(self, settings: Ingest, scratch: Path | None = None) -> None:
        """`scratch`: where hashes of files are kept."""
        self.settings, self.scratch = settings, scratch
        given = {name: getattr(settings, name) for name in self.own}
        more = [f"ingest.{n}={v}" for n, v in given.items() if v not in (None, "auto", "ask")]
        self.asked = Asked(self.told(), settings.source, tuple(more))

    def told(self) -> str:
        """How it is asked for, without secrets of an address."""
        return f"ingest.{self.parameter}={shown(getattr(self.settings, self.parameter) or 'null')}"

    def path(self) -> str:
        """Where it is; BadInput when that is not said."""
        if path := getattr(self.settings, self.parameter):
            return path
        raise self.asked.refusal(f"give {self.wanted}")

    def local(self) -> Path:
        """The folder or archive on this machine, downloaded if need be; BadInput without one."""
        if self._is_remote():
            return download(self.path(), self.settings)
        path, checksum = Path(self.path()).expanduser().absolute(), self.settings.sha256
        if is_bucket(self.path()):
            path = self._bucket.mirror()
        try:
            found = "folder" if path.is_dir() else "file" if path.is_file() else ""
            self._check(found)
            if found == "file" and checksum and self.file_hash(path) != checksum.lower():
                raise self.asked.refusal(f"its checksum is not ingest.sha256={checksum}")
        except OSError as error:  # too long a name, a folder above that is locked, not readable
            raise self.asked.refusal(str(error.strerror)) from error
        return path

    def _check(self, found: str) -> None:
        """BadInput unless it is what this kind takes."""
        if not found:
            raise self.asked.refusal(f"there is no such {self.takes[0]}")
        if found not in self.takes:
            archive = "a file; for a zip or tar archive choose ingest=archive"
            folder = "a folder; choose ingest=folder"
            raise self.asked.refusal(f"it is {archive if found == 'file' else folder}")

    @functools.cached_property
    def _bucket(self) -> Bucket:
        """What is in a bucket at that address."""
        bucket = Bucket(self.path(), self.settings, self.asked.refusal)
        self._check("file" if bucket.is_file else "folder")
        return bucket

    def open(self, resolve: Resolve | None) -> Source:
        """All its files, without labels; `resolve` finds ClearML datasets."""
        if is_bucket(self.path()) and not (bucket := self._bucket).is_file:
            source = self.in_folder(bucket.mirror(), bucket.name)
            return replace(source, files=source.files + bucket.left_out, stays=False)
        path = self.local()
        return self.in_folder(path, path.name) if path.is_dir() else self._in_archive(path)

    def label(self, source: Source) -> Labelled:
        """The files with labels and splits, or with what is wrong with them."""
        paths = (file.path for file in source.files if not file.problem)
        found = find_labels(paths, self.asked, self.settings.layout, self.settings.alike)
        if empty := empty_classes(found, source.empty):
            empty = [f"class folders without files: {listed(empty)}"]
        return with_labels(source, found, "not in a class folder", empty)

    def folder(self) -> Path | None:
        """Where its files stay; None when they are copied."""
        if "folder" not in self.takes or self._is_remote() or is_bucket(self.path()):
            return None
        path = self.local()
        return path if path.is_dir() else None

    def identity(self, identify: Identify | None) -> str | None:
        """A hash of what it delivers, by bytes or by a checksum; None when they are not here yet.

        `identify` tells the ids of ClearML datasets.
        """
        if is_bucket(self.path()):
            return hash_of(*(str(text) for one in self._bucket.objects for text in one[:3]))
        if self._is_remote():
            if self.settings.sha256:
                return hash_of(self.path(), self.settings.sha256)
            local = cached_path(self.path(), self.settings)
            return hash_of(self.file_hash(local)) if local.is_file() else None
        local = self.local()
        return content_of(self.open(None)) if local.is_dir() else hash_of(self.file_hash(local))

    def file_hash(self, path: Path) -> str:
        """sha256 of a file, read only if it changed since it was last asked for."""
        return known_file_hash(path, self.scratch)

    def in_folder(self, root: Path, name: str) -> Source:
        """All files of a folder."""
        known = Hashes(self.scratch, str(root))
        found = walk(root)
        files = [File(f.path, size=f.size, problem=f.problem, stamp=f.stamp) for f in found.files]
        aside, empty = found.set_aside, found.empty
        return Source(name, self.asked.told, root, None, files, aside, empty, [], known)

    def _in_archive(self, path: Path) -> Source:
        limits = archives.Limits(self.settings.max_files, self.settings.max_archive_gb)
        files, aside = [], set()
        known, stamp = Hashes(self.scratch, f"{path}/"), stamp_of(path.stat())
        members = archives.list_members(path, limits, self.asked.told)
        for place, (name, size, problem) in enumerate(members):
            if problem or visible(name):
                files.append(File(name, size=size, problem=problem, place=place, stamp=stamp))
            elif folder := set_aside(name):
                aside.add(folder)
        name = path.name.split("--", 1)[-1]  # without the prefix that the download gave it
        for suffix in (".gz", ".bz2", ".xz", ".tgz", ".tar", ".zip"):
            name = name.removesuffix(suffix)
        aside = sorted(aside)
        return Source(name, self.asked.told, None, path, files, aside, [], [], known, stays=False)

    def _is_remote(self) -> bool:
        return "file" in self.takes and is_address(self.path())


def with_labels(source: Source, found: Labels, missing: str, notes: Iterable[str] = ()) -> Labelled:
    """The files with their labels; `missing` is the problem of those that are not in `found`.

    Those with an empty label are set aside, with a note how to predict them.
    """
    files, aside = [], []
    for file in source.files:
        label, split = found.get(file.path, ("", ""))
        if split and not label:
            aside.append(file.path)
            continue
        problem = file.problem or ("" if label else missing)
        files.append(file._replace(label=label, split=split, problem=problem))
    return files, [*notes_on(source, aside), *notes]


def notes_on(source: Source, unlabelled: list[str]) -> list[str]:
    """What was set aside of a source."""
    notes = []
    if source.set_aside:
        notes.append(f"set aside, as hidden or made by machines: {listed(source.set_aside)}")
    if unlabelled:
        folder = os.path.commonpath(unlabelled)
        if len(unlabelled) == 1:
            folder = folder.rpartition("/")[0]
        images = str(source.root / folder) if source.root else folder
        command = shlex.join(["python", "pipelines/predict.py", f"images={images}"])
        unpack = "" if source.root else "unpack the archive, then "
        notes.append(
            f"set aside, as they have no labels: {len(unlabelled)} files in {folder or images}; "
            f"to predict them: {unpack}{command}"
        )
    return notes


def content_of(source: Source) -> str:
    """A hash of the names and bytes in a folder, and of the names of empty folders."""
    hashes = source.hashes()
    source.known.save()
    parts = [t for f, h in zip(source.files, hashes, strict=True) for t in (f.path, h)]
    return hash_of(*parts, *source.empty)


def _hash_at(root: Path, file: File) -> tuple[File, str]:
    """The file and its sha256; with a problem and none where it can't be read."""
    try:
        return file, _sha256(read_below(root, file.path))
    except OSError as error:
        return file._replace(problem=f"cannot be read: {error.strerror}"), ""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hash_of(*parts: str) -> str:
    """sha256 of several texts."""
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
