"""`ingest=names`: the label is in the file's name, such as `cat.0.jpg` or `Abyssinian_12.jpg`."""

from __future__ import annotations

from pathlib import Path

from components.ingest.download import is_address
from components.ingest.layout import Asked, labels_in_names
from components.ingest.parameters import Ingest
from components.ingest.sources import archive
from components.ingest.sources.folder import content_of, folder_at, root_at
from components.ingest.sources.kind import Identify, Kind, Labelled, Place, Resolve, with_labels
from components.runtime.schema import BadInput


def place_at(settings: Ingest, asked: Asked) -> Place:
    """The folder or the archive of `ingest.path`, by what it is."""
    if _is_archive(settings, asked):
        return archive.archive_at(settings, asked)
    return folder_at(settings.path or "", asked)


def root_or_none(settings: Ingest, asked: Asked) -> Path | None:
    """The folder of `ingest.path`; None for an archive."""
    return None if _is_archive(settings, asked) else root_at(settings.path or "", asked)


def identity_at(settings: Ingest, asked: Asked, identify: Identify | None) -> str | None:
    """Of the folder or the archive of `ingest.path`."""
    if _is_archive(settings, asked):
        return archive.identity(settings, asked, identify)
    return content_of(folder_at(settings.path or "", asked))


def _is_archive(settings: Ingest, asked: Asked) -> bool:
    if not settings.path:
        raise BadInput(f"{asked.told}: give a folder or an archive with images")
    try:
        return is_address(settings.path) or Path(settings.path).expanduser().is_file()
    except OSError as error:  # too long a name, or a folder above that is locked
        raise BadInput(f"{asked.told}: {error.strerror}") from error


def _place(settings: Ingest, asked: Asked, resolve: Resolve | None) -> Place:
    return place_at(settings, asked)


def _label(place: Place, settings: Ingest, asked: Asked) -> Labelled:
    paths = (file.path for file in place.files if not file.problem)
    found = labels_in_names(paths, asked, settings.pattern, settings.alike)
    return with_labels(place, found, "no label in its name")


KIND = Kind(archive.told, _place, _label, root_or_none, identity_at, ("pattern", "alike"))
