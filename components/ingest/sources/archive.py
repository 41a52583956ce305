"""`ingest=archive`: a zip or tar archive, here or at an address, with one folder a class."""

from __future__ import annotations

from pathlib import Path

from components.imaging.walk import set_aside, visible
from components.ingest import archives
from components.ingest.download import cached_path, download, is_address, shown
from components.ingest.layout import Asked, File
from components.ingest.parameters import Ingest
from components.ingest.sources.kind import (
    Identify,
    Kind,
    Place,
    Resolve,
    by_folders,
    copied,
    hash_of,
)
from components.runtime.files import file_hash
from components.runtime.schema import BadInput


def told(settings: Ingest) -> str:
    """How it is asked for, without secrets of the address."""
    return f"ingest.path={shown(settings.path) if settings.path else 'null'}"


def archive_at(settings: Ingest, asked: Asked) -> Place:
    """All files of the archive, downloaded if need be."""
    path = _local(settings, asked)
    limits = archives.Limits(settings.max_files, settings.max_archive_gb)
    files, aside = [], set()
    for place, member in enumerate(archives.list_members(path, limits, asked.told)):
        if member.problem or visible(member.path):
            file = File(member.path, size=member.size, problem=member.problem, place=place)
            files.append(file)
        elif folder := set_aside(member.path):
            aside.add(folder)
    return Place(_stem(path), None, path, files, sorted(aside), [])


def identity(settings: Ingest, asked: Asked, identify: Identify | None) -> str | None:
    """Of the bytes; of an address with a checksum that; None when the bytes are not here yet."""
    address = settings.path or ""
    if is_address(address) and settings.sha256:
        return hash_of(address, settings.sha256)
    local = cached_path(address, settings) if is_address(address) else _local(settings, asked)
    return hash_of(file_hash(local)) if local.is_file() else None


def _place(settings: Ingest, asked: Asked, resolve: Resolve | None) -> Place:
    return archive_at(settings, asked)


def _local(settings: Ingest, asked: Asked) -> Path:
    """The archive as a local file."""
    if not settings.path:
        raise BadInput(
            f"{asked.told}: give the path or the http(s) address of a zip or tar archive"
        )
    if is_address(settings.path):
        return download(settings.path, settings)
    path = Path(settings.path).expanduser().absolute()
    try:
        if path.is_dir():
            raise BadInput(f"{asked.told}: it is a folder; choose ingest=folder")
        if not path.is_file():
            raise BadInput(f"{asked.told}: there is no such file")
        if settings.sha256 and file_hash(path) != settings.sha256.lower():
            raise BadInput(f"{asked.told}: its checksum is not ingest.sha256={settings.sha256}")
    except OSError as error:  # too long a name, or not readable
        raise BadInput(f"{asked.told}: {error.strerror}") from error
    return path


def _stem(path: Path) -> str:
    """An archive's name without the endings and without the prefix that the download gave it."""
    stem = path.name.split("--", 1)[-1]
    for suffix in (".gz", ".bz2", ".xz", ".tgz", ".tar", ".zip"):
        stem = stem.removesuffix(suffix)
    return stem


KIND = Kind(told, _place, by_folders, copied, identity, ("layout", "alike"))
