"""Sources in a bucket: what is there is mirrored on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from components.ingest.download import cached_path, shown
from components.ingest.layout import File
from components.ingest.parameters import Ingest
from components.runtime.buckets import Object, fetch, listing
from components.runtime.files import as_text, below, read_json, write_json
from components.runtime.locks import locked
from components.runtime.progress import progress
from components.runtime.schema import BadInput

logger = logging.getLogger(__name__)

THREADS = 16  # downloads at a time, which mostly wait
FAILED = "cannot be fetched"


class Bucket:
    """What is at an address: the files below a folder, or one file."""

    def __init__(self, address: str, settings: Ingest, refusal: Callable[[str], BadInput]) -> None:
        """Lists it; BadInput when that can't be, or there is nothing, or too much."""
        self.address, self.settings, self.refusal = address, settings, refusal
        self.name = shown(address).rstrip("/").rpartition("/")[2]
        self.left_out: list[File] = []
        """Files that are not fetched, with the reason."""
        try:
            found = listing(address)
        except LookupError as error:
            raise refusal(str(error)) from None
        inside = [one for one in found if one.name]
        self.is_file = bool(found) and not inside
        self.objects = inside or [found[0]._replace(name=self.name)] if found else []
        if not found:
            raise refusal("there is nothing of that name in the bucket")
        if len(inside) > settings.max_files:
            raise refusal(f"has more than ingest.max_files={settings.max_files} files")

    def mirror(self) -> Path:
        """The folder or file on this machine; only what changed since the last time is fetched."""
        folder = cached_path(self.address, self.settings)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            self._update(folder)
        return folder / self.name if self.is_file else folder

    def _update(self, folder: Path) -> None:
        state = folder.with_name(f"{folder.name}.json")
        known = read_json(state) if state.is_file() else {}
        problems = {one.name: self._against(one) for one in self.objects}
        wanted = {one.name: one for one in self.objects if not problems[one.name]}
        for name in set(known) - set(wanted):
            _forget(folder, name)
        kept = {
            name: [one.size, one.mark] if _is_there(folder, one, known.get(name)) else None
            for name, one in wanted.items()
        }
        write_json(state, kept)  # so that what is fetched now is known even if this process dies
        new = [one for name, one in wanted.items() if not kept[name]]
        told = "%d files at %s, of which %d are fetched"
        logger.info(told, len(self.objects), shown(self.address), len(new))
        folder.mkdir(exist_ok=True)
        with ThreadPool(THREADS) as pool:
            fetched = pool.imap(lambda one: self._fetch(one, folder), new)
            for one, problem in zip(
                new, progress(fetched, total=len(new), label="download"), strict=True
            ):
                problems[one.name] = problem
                kept[one.name] = None if problem else [one.size, one.mark]
        write_json(state, kept)
        failed = [name for name, problem in problems.items() if problem == FAILED]
        if failed:
            raise self.refusal(f"{len(failed)} files {FAILED}, such as {failed[0]}; run again")
        self.left_out = [
            File(one.name, size=one.size, problem=problems[one.name])
            for one in self.objects
            if problems[one.name]
        ]

    def _against(self, one: Object) -> str:
        """Why it is not fetched at all."""
        if {"", ".", ".."} & set(one.name.split("/")):
            return "its name is no path"
        limit = self.settings.max_archive_gb * 1e3 if self.is_file else self.settings.max_file_mb
        if one.size <= limit * 1e6:
            return ""
        if self.is_file:
            raise self.refusal(f"is larger than ingest.max_archive_gb={limit / 1e3:g}")
        return f"too large: {one.size / 1e6:.0f} MB"

    def _fetch(self, one: Object, folder: Path) -> str:
        """Fetch an object to its place; why there is none."""
        target = as_text(below(folder, one.name))
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            done = fetch(one.address, target)
        except (FileExistsError, NotADirectoryError):
            return "another file has the name of its folder"
        except OSError as error:
            return f"cannot be kept: {error.strerror}"
        return "" if done and _is_there(folder, one, [one.size, one.mark]) else FAILED


def _is_there(folder: Path, one: Object, known: list[Any] | None) -> bool:
    """Whether a file that was fetched as `known` is still the one in the bucket."""
    with contextlib.suppress(OSError):
        size = os.stat(below(folder, one.name)).st_size  # noqa: PTH116
        return known == [one.size, one.mark] and size == one.size
    return False


def _forget(folder: Path, name: str) -> None:
    """Remove a file, and the folders that are empty without it."""
    path = below(folder, name)
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108
        os.removedirs(os.path.dirname(path))  # noqa: PTH120
