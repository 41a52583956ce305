"""`ingest=table`: a CSV or TSV file with the path and the label of each image."""

from __future__ import annotations

import codecs
import csv
import io
import posixpath
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from components.ingest.layout import Asked, File, Labels, check_splits, merge_alike
from components.ingest.naming import NO_IMAGES, SPLIT_WORD, ending, listed, ready_made, split_of
from components.ingest.parameters import Ingest
from components.ingest.sources.kind import (
    Identify,
    Kind,
    Labelled,
    Place,
    Resolve,
    hash_of,
    notes_on,
    path_of,
)
from components.ingest.sources.names import identity_at, place_at, root_or_none
from components.runtime.files import file_hash
from components.runtime.schema import BadInput
from components.runtime.spreadsheet import original

SEPARATORS = ",;\t|"
OPTIONAL = "split"  # the split's column where none of another name is asked for


class Row(NamedTuple):
    """A line of the table."""

    name: str  # row 2, as a spreadsheet counts
    path: str
    label: str
    split: str  # train, validation, test, or empty


def read_rows(path: Path, settings: Ingest, asked: Asked) -> tuple[list[Row], list[str]]:
    """The rows of a table, and the names of the columns that are not used.

    BadInput when it is no table, or lacks a column.
    """
    lines = _lines(path, asked)
    header = [name.strip() for name in next(lines, [])]
    names = [settings.path_column, settings.label_column]
    if settings.split_column and (settings.split_column != OPTIONAL or OPTIONAL in header):
        names.append(settings.split_column)
    for name, parameter in zip(
        names, ("path_column", "label_column", "split_column"), strict=False
    ):
        if name not in header:
            raise asked.refusal(
                f"it has no column {name}; its columns are {', '.join(header) or 'none'}: "
                f"say which it is with ingest.{parameter}=..."
            )
    places = [header.index(name) for name in names]
    rows = []
    for number, cells in enumerate(lines, 2):
        if any(cell.strip() for cell in cells):
            values = [
                original(cells[place].strip()) if place < len(cells) else "" for place in places
            ]
            name = f"row {number}"
            rows.append(Row(name, values[0], values[1], _split(values[2:], name, asked)))
    return rows, [name for name in header if name and name not in names]


def _lines(path: Path, asked: Asked) -> Iterator[list[str]]:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", "replace")
    elif b"\0" in data[:4096] or data.startswith(b"PK"):
        raise asked.refusal("it is no text; save the table as CSV")
    else:  # names of files need not be UTF-8
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count) if path.suffix.lower() != ".tsv" else "\t"
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error as error:
        raise asked.refusal(f"it can't be read as a table: {error}") from error


def _split(cells: list[str], row: str, asked: Asked) -> str:
    text = cells[0] if cells else ""
    split = split_of(text)
    if text and not split:
        known = ", ".join(sorted(SPLIT_WORD))
        raise asked.refusal(f"{row} has the split {text}; it must be one of {known}")
    return split


class Files:
    """The files of a place, found by what a table calls them."""

    def __init__(self, place: Place) -> None:
        self.root = place.root
        self.named: dict[str, list[File]] = defaultdict(list)
        for file in place.files:
            if not file.problem:
                bare = file.path.removesuffix(ending(file.path)) if ending(file.path) else file.path
                for path in {file.path, bare}:
                    self.named[path].append(file)
                    if "/" in path:
                        self.named[f"*/{posixpath.basename(path)}"].append(file)
                    else:
                        self.named[f"*/{path}"].append(file)

    def find(self, path: str) -> File:
        """The file of a path below the place, or of a name that only one has; ending optional."""
        for name in (path, path.replace("\\", "/")):
            name = posixpath.normpath(name) if name else name
            if self.root and name.startswith(f"{self.root.as_posix()}/"):
                name = name.removeprefix(f"{self.root.as_posix()}/")
            found = self.named.get(name) or ("/" not in name and self.named.get(f"*/{name}")) or []
            if len(found) == 1:
                return found[0]
            if found:
                return File(path, problem=f"several files: {found[0].path}, {found[1].path}")
        return File(path, problem="missing: there is no such file")


def _place(settings: Ingest, asked: Asked, resolve: Resolve | None) -> Place:
    return place_at(*_images(settings, asked))


def _folder(settings: Ingest, asked: Asked) -> Path | None:
    return root_or_none(*_images(settings, asked))


def _identity(settings: Ingest, asked: Asked, identify: Identify | None) -> str | None:
    content = identity_at(*_images(settings, asked), identify)
    return hash_of(file_hash(_table(settings, asked)), content) if content else None


def _images(settings: Ingest, asked: Asked) -> tuple[Ingest, Asked]:
    """The settings of the folder or archive of the images."""
    table = _table(settings, asked)
    images = settings.images or str(table.parent)
    return replace(settings, path=images), asked._replace(told=f"ingest.images={images}")


def _table(settings: Ingest, asked: Asked) -> Path:
    if not settings.path:
        raise BadInput(f"{asked.told}: give a CSV or TSV file with columns for path and label")
    path = Path(settings.path).expanduser().absolute()
    try:
        if path.is_dir():
            tables = sorted(p for p in path.iterdir() if p.suffix.lower() in (".csv", ".tsv"))
            seen = listed(table.name for table in tables) or "none"
            raise asked.refusal(f"it is a folder; name the table, of which it has {seen}")
        path.open("rb").close()
    except FileNotFoundError:
        raise BadInput(f"{asked.told}: there is no such file") from None
    except OSError as error:
        raise BadInput(f"{asked.told}: cannot be read: {error.strerror}") from error
    return path


def _label(place: Place, settings: Ingest, asked: Asked) -> Labelled:
    rows, unused = read_rows(_table(settings, asked), settings, asked)
    if not rows:
        raise asked.refusal("it has no rows")
    if len(rows) > settings.max_files:
        raise asked.refusal(f"has more than ingest.max_files={settings.max_files} rows")
    files = Files(place)
    found = [files.find(row.path) for row in rows]
    if all(file.problem for file in found):
        told = f"ingest.images={settings.images}" if settings.images else "its folder"
        raise asked.refusal(
            f"none of its {len(rows)} files is in {told}, such as {rows[0].path}; "
            "say where they are with ingest.images=..."
        )
    labels = _labels(rows, asked, settings.alike)
    labelled, unlabelled = _with_problems(rows, found, labels)
    seen = {file.path for file in found}
    unlabelled += [f.path for f in place.files if f.path not in seen and not f.problem
                   and ending(f.path) not in NO_IMAGES]  # fmt: skip
    notes = notes_on(place, unlabelled)
    if unused:
        notes.append(f"columns of the table that are not used: {listed(unused)}")
    return Labelled(labelled, notes)


def _labels(rows: list[Row], asked: Asked, alike: str) -> Labels:
    """Label and split of the rows that have a label, by the row's name."""
    labels = {row.name: (row.label, row.split) for row in rows if row.label}
    if not ready_made(split for _, split in labels.values()):
        labels = {name: (label, "") for name, (label, _) in labels.items()}
    elif lacking := [name for name, (_, split) in labels.items() if not split]:
        raise asked.refusal(f"{lacking[0]} has no split, but others have")
    labels = merge_alike(labels, asked, alike)
    check_splits(labels, asked, "two classes")
    return labels


def _with_problems(
    rows: list[Row], found: list[File], labels: Labels
) -> tuple[list[File], list[str]]:
    """The rows as files with labels and splits, or what is wrong with them; the paths of those of
    a split that has no labels at all."""
    splits = {row.split for row in rows if row.label}
    of_file: dict[str, list[str]] = defaultdict(list)
    for row, file in zip(rows, found, strict=True):
        of_file[file.path].append(row.name)
    result, unlabelled = [], []
    for row, file in zip(rows, found, strict=True):
        if row.split not in splits:
            unlabelled.append(file.path)
            continue
        label, split = labels.get(row.name, ("", ""))
        problem = file.problem or ("" if label else "no label in the table")
        same = of_file[file.path]
        if not problem and len({labels.get(name) for name in same}) > 1:
            problem = f"two labels: {same[0]} and {same[1]} of the table differ"
        elif not problem and row.name != same[0]:
            problem = f"doubled row: {row.name} of the table is as {same[0]}"
        result.append(file._replace(label=label, split=split, problem=problem))
    return result, unlabelled


KIND = Kind(
    path_of, _place, _label, _folder, _identity,
    ("images", "path_column", "label_column", "split_column", "alike"),
)  # fmt: skip
