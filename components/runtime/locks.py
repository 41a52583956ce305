"""One lock for all: a file that its owner holds while it lives, freed when it dies, too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def locked(file: Path, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Be the only one on this machine with the lock; `waits` is called when another has it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        taken = lock.acquire(timeout=0)
    except Timeout:
        waits()
        taken = lock.acquire()
    with taken:
        yield


def is_held(file: Path) -> bool:
    """Whether a living process has the lock."""
    if not file.exists():
        return False
    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True
