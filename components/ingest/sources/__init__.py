"""The sources: each becomes a list of files with class and split, and a way to read them.

A source is a class here, a line in `KINDS`, and a YAML in conf/ingest/.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from components.ingest.download import shown
from components.ingest.layout import File
from components.ingest.parameters import Ingest
from components.ingest.sources.folders import Archive, ClearmlDataset, Folder, Names, Sample
from components.ingest.sources.kind import Identify, Kind, Resolve, Source
from components.ingest.sources.table import Table
from components.runtime.text import printable

KINDS: dict[str, type[Kind]] = {
    "sample": Sample,
    "folder": Folder,
    "archive": Archive,
    "clearml_dataset": ClearmlDataset,
    "names": Names,
    "table": Table,
}
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f]")  # which would break a table's lines


def open_source(
    settings: Ingest, resolve: Resolve | None = None, scratch: Path | None = None
) -> Source:
    """List the files of the source, downloading it first when it is remote.

    Hashes of its files are kept below `scratch`. BadInput when it is missing, empty, or does not
    tell the classes of its files.
    """
    kind = KINDS[settings.source](settings, scratch)
    source = kind.open(resolve)
    if not source.files:
        raise kind.asked.refusal("it is empty")
    if len(source.files) > settings.max_files:
        raise kind.asked.refusal(f"has more than ingest.max_files={settings.max_files} files")
    files, notes = kind.label(source)
    return replace(source, files=[_checked(file, settings) for file in files], notes=notes)


def fingerprint(
    settings: Ingest, identify: Identify | None = None, scratch: Path | None = None
) -> str | None:
    """sha256 that changes exactly when what the source delivers changes; None: not known here.

    Folders and tables by names and bytes, archives by bytes, addresses by themselves and their
    checksum, ClearML datasets by id, which `identify` finds. What of them did not change since
    `scratch` has its hash is not read. BadInput when the source is missing.
    """
    return KINDS[settings.source](settings, scratch).identity(identify)


def folder_of(settings: Ingest) -> Path | None:
    """Where the files of a source lie that are not copied; None for all other sources."""
    return KINDS[settings.source](settings).folder()


def public(settings: Ingest) -> Ingest:
    """The settings as they may be kept and shown: without secrets in addresses."""
    return replace(
        settings,
        path=settings.path and shown(settings.path),
        images=settings.images and shown(settings.images),
    )


def _checked(file: File, settings: Ingest) -> File:
    """The file with what is against it."""
    if CONTROL_CHARACTERS.search(file.path):
        problem = file.problem or "its name has control characters"
        return file._replace(path=printable(file.path), problem=problem)
    if not file.problem and file.size > settings.max_file_mb * 1e6:
        return file._replace(problem=f"too large: {file.size / 1e6:.0f} MB")
    return file
