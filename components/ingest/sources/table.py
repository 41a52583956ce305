"""`ingest=table`: a CSV or TSV file with the path and the label of each image."""

from __future__ import annotations

import codecs
import csv
import functools
import io
import posixpath
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

from components.ingest.buckets import THREADS
from components.ingest.download import (
    TRY_AGAIN,
    cached_path,
    download,
    is_address,
    shown,
)
from components.ingest.layout import File, Labels, settled
from components.ingest.naming import NO_IMAGES, SPLIT_WORD, ending, listed, split_of
from components.ingest.parameters import is_bucket
from components.ingest.sources.kind import (
    Identify,
    Kind,
    Labelled,
    Resolve,
    Source,
    hash_of,
    notes_on,
)
from components.runtime.buckets import fetch
from components.runtime.files import stamp_of
from components.runtime.hashes import Hashes
from components.runtime.progress import progress
from components.runtime.schema import BadInput
from components.runtime.spreadsheet import original

SEPARATORS = ",;\t|"
OPTIONAL = "split"  # the split's column where none of another name is asked for

Rows = dict[str, tuple[str, str, str]]  # path, label and split by `row 2`, as a spreadsheet counts


class Images(Kind):
    """The folder or archive with the images of a table."""

    parameter = "images"


class Table(Kind):
    """A table, and beside it or elsewhere the images."""

    wanted = "a CSV or TSV file with columns for path and label"
    own = ("images", "path_column", "label_column", "split_column", "alike")

    def local(self) -> Path:
        """The table."""
        path = Path(self.path()).expanduser().absolute()
        try:
            if path.is_dir():
                tables = sorted(
                    p.name for p in path.iterdir() if ending(p.name) in (".csv", ".tsv")
                )
                seen = listed(tables) or "none"
                raise self.asked.refusal(f"it is a folder; name the table, of which it has {seen}")
            path.open("rb").close()
        except FileNotFoundError:
            raise self.asked.refusal("there is no such file") from None
        except OSError as error:
            raise self.asked.refusal(f"cannot be read: {error.strerror}") from error
        return path

    def images(self) -> Images:
        """Where the images are."""
        images = self.settings.images or str(self.local().parent)
        return Images(replace(self.settings, images=images), self.scratch)

    def open(self, resolve: Resolve | None) -> Source:
        """All images, whether the table names them or not; those at addresses are fetched."""
        if addresses := self.addresses:
            return self._fetched(addresses)
        return self.images().open(resolve)

    def folder(self) -> Path | None:
        """Where the images stay; None when they are copied."""
        return None if self.addresses else self.images().folder()

    @functools.cached_property
    def addresses(self) -> list[str]:
        """The paths in the table that are addresses."""
        paths = (path for path, _, _ in self.rows[0].values())
        return [path for path in dict.fromkeys(paths) if is_address(path) or is_bucket(path)]

    def _fetched(self, addresses: list[str]) -> Source:
        """What is at the addresses, each fetched once for all runs; BadInput to try again."""
        if len(addresses) > self.settings.max_files:
            raise self.asked.refusal(f"more rows than ingest.max_files={self.settings.max_files}")
        folder = self._place(addresses[0]).parent
        with ThreadPool(THREADS) as pool:
            fetched = pool.imap(self._fetch, addresses)
            files = list(progress(fetched, total=len(addresses), label="download"))
        known, name = Hashes(self.scratch, str(folder)), self.local().stem
        return Source(name, self.asked.told, folder, None, files, [], [], [], known, stays=False)

    def _place(self, address: str) -> Path:
        folder = f"{self.settings.download_folder}/{self.local().stem}"
        return cached_path(address, replace(self.settings, download_folder=folder))

    def _fetch(self, address: str) -> File:
        """The file of an address, or what is against it."""
        place = self._place(address)
        again = f"{shown(address)} cannot be fetched; run again to go on"
        if is_bucket(address):
            place.parent.mkdir(parents=True, exist_ok=True)
            if not (place.is_file() or fetch(address, str(place))):
                raise self.asked.refusal(again)
        else:
            settings = replace(self.settings, download_folder=str(place.parent), sha256=None)
            try:
                download(address, settings)
            except BadInput as error:
                problem = str(error).partition(": ")[2]
                if TRY_AGAIN in problem:
                    raise self.asked.refusal(again) from None
                return File(place.name, problem=problem)
        status = place.stat()
        return File(place.name, size=status.st_size, stamp=stamp_of(status))

    def identity(self, identify: Identify | None) -> str | None:
        """Of the table and the images; None when these are not here yet.

        An address stands for what is there: it is fetched once.
        """
        if self.addresses:
            return hash_of(self.file_hash(self.local()))
        content = self.images().identity(identify)
        return hash_of(self.file_hash(self.local()), content) if content else None

    def label(self, source: Source) -> Labelled:
        """Each row is a file."""
        rows, unused = self.rows
        if not rows:
            raise self.asked.refusal("it has no rows")
        if len(rows) > self.settings.max_files:
            raise self.asked.refusal(
                f"has more than ingest.max_files={self.settings.max_files} rows"
            )
        files = Files(source)
        found = {name: files.find(path) for name, (path, _, _) in rows.items()}
        if self.addresses:
            at = {file.path: file for file in source.files}
            places = {name: self._place(path).name for name, (path, _, _) in rows.items()}
            found = {name: at.get(places[name]) or file for name, file in found.items()}
        if all(file.problem for file in found.values()):
            images = self.settings.images
            place = f"ingest.images={images}" if images else "its folder"
            example = next(iter(rows.values()))[0]
            raise self.asked.refusal(
                f"none of its {len(rows)} files is in {place}, such as {example}; "
                "say where they are with ingest.images=..."
            )
        told = {name: (label, split) for name, (_, label, split) in rows.items()}
        labels = settled(told, self.asked, self.settings.alike, "two classes")
        labelled, unlabelled = _with_problems(found, labels)
        seen = {file.path for file in found.values()}
        unlabelled += [f.path for f in source.files if f.path not in seen and not f.problem
                       and ending(f.path) not in NO_IMAGES]  # fmt: skip
        notes = notes_on(source, unlabelled)
        if unused:
            notes.append(f"columns of the table that are not used: {listed(unused)}")
        return labelled, notes

    @functools.cached_property
    def rows(self) -> tuple[Rows, list[str]]:
        """The rows of the table, and the names of the columns that are not used.

        BadInput when it is no table, or lacks a column.
        """
        lines = self._lines()
        header = next(lines, [])
        columns = {name: getattr(self.settings, name) for name in self.own if "column" in name}
        if columns["split_column"] == OPTIONAL and OPTIONAL not in header:
            columns["split_column"] = None
        for parameter, name in columns.items():
            if name and name not in header:
                raise self.asked.refusal(
                    f"it has no column {name}; its columns are {', '.join(header) or 'none'}: "
                    f"say which it is with ingest.{parameter}=..."
                )
        rows = {}
        for number, cells in enumerate(lines, 2):
            if any(cells):
                row = dict(zip(header, cells, strict=False))
                path, label, text = (row.get(name, "") for name in columns.values())
                split = split_of(text)
                if text and not split:
                    known = ", ".join(sorted(SPLIT_WORD))
                    raise self.asked.refusal(
                        f"row {number} has the split {text}; it must be one of {known}"
                    )
                rows[f"row {number}"] = path, label, split
        return rows, [name for name in header if name and name not in columns.values()]

    def _lines(self) -> Iterator[list[str]]:
        """The cells of each line."""
        path = self.local()
        data = path.read_bytes()
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = data.decode("utf-16", "replace")
        elif b"\0" in data[:4096] or data.startswith(b"PK"):
            raise self.asked.refusal("it is no text; save the table as CSV")
        else:  # names of files need not be UTF-8
            text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
        first = text.partition("\n")[0]
        separator = max(SEPARATORS, key=first.count) if path.suffix.lower() != ".tsv" else "\t"
        try:
            for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
                yield [original(cell.strip()) for cell in cells]
        except csv.Error as error:
            raise self.asked.refusal(f"it can't be read as a table: {error}") from error


class Files:
    """The files of a source, found by what a table calls them."""

    def __init__(self, source: Source) -> None:
        self.above = f"{source.root.as_posix()}/" if source.root else ""
        self.named: dict[str, list[File]] = defaultdict(list)
        for file in source.files:
            if not file.problem:
                for path in {file.path, file.path.removesuffix(ending(file.path))}:
                    self.named[path].append(file)
                    self.named[f"*/{posixpath.basename(path)}"].append(file)

    def find(self, path: str) -> File:
        """The file of a path below the source, or of a name that only one has; ending optional."""
        for name in (path, path.replace("\\", "/")):
            name = posixpath.normpath(name).removeprefix(self.above)
            found = self.named.get(name) or self.named.get(f"*/{name}") or []
            if len(found) == 1:
                return found[0]
            if found:
                return File(path, problem=f"several files: {found[0].path}, {found[1].path}")
        return File(path, problem="missing: there is no such file")


def _with_problems(found: dict[str, File], labels: Labels) -> tuple[list[File], list[str]]:
    """The rows as files with labels and splits, or what is wrong with them; the paths of those of
    a split that has no labels at all."""
    of_file: dict[str, list[str]] = defaultdict(list)
    for name, file in found.items():
        of_file[file.path].append(name)
    result, unlabelled = [], []
    for name, file in found.items():
        label, split = labels.get(name, ("", ""))
        if split and not label:
            unlabelled.append(file.path)
            continue
        problem = file.problem or ("" if label else "no label in the table")
        same = of_file[file.path]
        if not problem and len({labels.get(other) for other in same}) > 1:
            problem = f"two labels: {same[0]} and {same[1]} of the table differ"
        elif not problem and name != same[0]:
            problem = f"doubled row: {name} of the table is as {same[0]}"
        result.append(file._replace(label=label, split=split, problem=problem))
    return result, unlabelled
