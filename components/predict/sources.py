"""Which images a person means by a file, a folder, a pattern, or standard input."""

from __future__ import annotations

import glob
import itertools
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from components.imaging.decoding import SUFFIXES
from components.runtime.schema import BadInput

log = logging.getLogger(__name__)

STANDARD_INPUT = "-"
ENDINGS = frozenset(itertools.chain.from_iterable(SUFFIXES.values()))


def find_images(images: str) -> tuple[Iterable[str], int | None]:
    """The paths in the order of the results, and how many; None for standard input.

    `BadInput` where there is nothing.
    """
    if images == STANDARD_INPUT:
        return read_paths(), None
    path = Path(images).expanduser()
    if path.is_dir():
        found = _in_folder(path)
        if not found:
            raise BadInput(f"images={images}: the folder has no image files")
    elif path.exists():
        found = [str(path)]
    elif glob.has_magic(images):
        matching = glob.iglob(str(path), recursive=True)  # noqa: PTH207  Path has no such
        found = sorted(filter(os.path.isfile, matching))
        if not found:
            raise BadInput(f"images={images}: the pattern matches no file")
    else:
        raise BadInput(f"images={images}: there is no such file or folder")
    return found, len(found)


def read_paths() -> Iterator[str]:
    """The paths on standard input, one a line, as they come."""
    for line in sys.stdin.buffer:
        if path := line.rstrip(b"\r\n"):
            yield os.fsdecode(path)  # a name need not be valid UTF-8


def _in_folder(folder: Path) -> list[str]:
    """Image files below a folder by their ending, hidden ones left aside, sorted."""
    found, others = [], 0
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith("."):
                continue
            if os.path.splitext(name)[1].lower() in ENDINGS:  # noqa: PTH122  faster
                found.append(f"{parent}{os.sep}{name}")
            else:
                others += 1
    if others:
        log.info("%s: %d other files left aside", folder, others)
    return sorted(found)
