"""The sources: each becomes a list of files with class and split, and a way to read them.

A source is a module here with a `KIND`, a line in `KINDS`, and a YAML in conf/ingest/.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from components.ingest.download import shown
from components.ingest.layout import Asked, File
from components.ingest.parameters import Ingest
from components.ingest.sources import (
    archive,
    clearml_dataset,
    folder,
    names,
    sample,
    table,
)
from components.ingest.sources.kind import (
    CONTROL_CHARACTERS,
    Identify,
    Kind,
    Resolve,
    Source,
    has_control_characters,
)

KINDS: dict[str, Kind] = {
    "sample": sample.KIND,
    "folder": folder.KIND,
    "archive": archive.KIND,
    "clearml_dataset": clearml_dataset.KIND,
    "names": names.KIND,
    "table": table.KIND,
}


def open_source(settings: Ingest, resolve: Resolve | None = None) -> Source:
    """List the files of the source, downloading it first when it is remote.

    BadInput when it is missing, empty, or does not tell the classes of its files.
    """
    kind, asked = _kind(settings)
    place = kind.place(settings, asked, resolve)
    if not place.files:
        raise asked.refusal("it is empty")
    if len(place.files) > settings.max_files:
        raise asked.refusal(f"has more than ingest.max_files={settings.max_files} files")
    labelled = kind.label(place, settings, asked)
    files = [_checked(file, settings) for file in labelled.files]
    return Source(place.name, asked.told, place.root, place.archive, files, labelled.notes)


def fingerprint(settings: Ingest, identify: Identify | None = None) -> str | None:
    """sha256 that changes exactly when what the source delivers changes; None: not known here.

    Folders and tables by names and bytes, archives by bytes, addresses by themselves and their
    checksum, ClearML datasets by id, which `identify` finds. BadInput when the source is missing.
    """
    kind, asked = _kind(settings)
    return kind.identity(settings, asked, identify)


def folder_of(settings: Ingest) -> Path | None:
    """Where the files of a source lie that are not copied; None for all other sources."""
    kind, asked = _kind(settings)
    return kind.folder(settings, asked)


def public(settings: Ingest) -> Ingest:
    """The settings as they may be kept and shown: without secrets in addresses."""
    return replace(
        settings,
        path=settings.path and shown(settings.path),
        images=settings.images and shown(settings.images),
    )


def _kind(settings: Ingest) -> tuple[Kind, Asked]:
    kind = KINDS[settings.source]
    given = {name: getattr(settings, name) for name in kind.parameters}
    more = [f"ingest.{n}={v}" for n, v in given.items() if v not in (None, "auto", "ask")]
    return kind, Asked(kind.told(settings), settings.source, tuple(more))


def _checked(file: File, settings: Ingest) -> File:
    """The file with what is against it."""
    path, problem = file.path, file.problem
    if has_control_characters(path):
        path = path.encode("unicode_escape").decode()  # so that tables and pages stay whole
        problem = problem or CONTROL_CHARACTERS
    elif not problem and file.size > settings.max_file_mb * 1e6:
        problem = f"too large: {file.size / 1e6:.0f} MB"
    return file._replace(path=path, problem=problem)
