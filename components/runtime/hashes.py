"""The sha256 of files that nobody has changed: known from an earlier run, not computed again.

A file is taken for unchanged while its size, its inode, and the times of its last writing and last
change are the same; the latter no program can set back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path

from components.runtime.files import TICK, Stamp, file_hash, stamp_of, written

MOST_PLACES = 64  # folders and archives of which hashes are kept


class Hashes:
    """The known hashes of what lies at one place, by name. What is damaged is not known."""

    def __init__(self, scratch: Path | None, place: str) -> None:
        """They are kept below `scratch`, if that is given, by what `place` is called."""
        self._began = time.time_ns()
        name = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._file = scratch and scratch / "hashes" / f"{name}.txt"
        self._known = self._load()
        self._now: dict[str, list[int | str]] = {}

    def get(self, name: str, stamp: Stamp) -> str:
        """The hash of a file with that stamp; empty: not known."""
        *before, sha256 = known = self._known.get(name) or [""]
        if before != list(stamp):
            return ""
        self._now[name] = known
        return str(sha256)

    def add(self, name: str, stamp: Stamp, sha256: str) -> None:
        """Keep a hash, unless the file is so young that it may change without another stamp.

        The stamp was taken before the file was read, which was after this object was made.
        """
        if self._began - stamp[-1] > TICK:
            self._now[name] = [*stamp, sha256]

    def save(self) -> None:
        """Keep what was asked for or added, of the places that changed last; forget all else."""
        if not self._file or self._now == self._known:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps(self._now).encode()
            with written(self._file) as temporary:
                temporary.write_bytes(_checksum(content) + b"\n" + content)
            files = sorted(self._file.parent.iterdir(), key=lambda file: file.stat().st_mtime)
            for file in files[:-MOST_PLACES]:
                file.unlink()

    def _load(self) -> dict[str, list[int | str]]:
        try:
            checksum, _, content = self._file.read_bytes().partition(b"\n") if self._file else [b""]
            return json.loads(content) if checksum == _checksum(content) else {}
        except (OSError, ValueError):
            return {}


def known_file_hash(path: Path, scratch: Path | None) -> str:
    """sha256 of a file's bytes."""
    hashes = Hashes(scratch, str(path))
    stamp = stamp_of(path.stat())
    found = hashes.get("", stamp) or file_hash(path)
    hashes.add("", stamp, found)
    hashes.save()
    return found


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
