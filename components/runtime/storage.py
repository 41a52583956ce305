"""Datasets, models and evaluations by reference: what one step hands to the next.

A reference is a short string: a folder below `outputs/` when offline, a ClearML id otherwise. A
stage fills an empty workspace and publishes it; what is published is complete and never changes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.runtime.stores.local_store import LocalStore, remove_leftovers

if TYPE_CHECKING:
    from components.runtime.stores.server_store import ServerStore

_local: LocalStore | None = None


def use_outputs(outputs: Path) -> LocalStore:
    """Work offline: publish below `outputs` instead of on a ClearML server."""
    global _local
    _local = LocalStore(outputs)
    remove_leftovers(_local.temporary)
    return _local


def is_local() -> bool:
    """Whether this process works offline."""
    return _local is not None


def store() -> LocalStore | ServerStore:
    """Where this process publishes and fetches."""
    if _local:
        return _local
    from components.runtime.stores.server_store import ServerStore

    return ServerStore()


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """An empty folder to fill, on the file system of the store; removed if not published."""
    if _local:
        _local.temporary.mkdir(parents=True, exist_ok=True)
    parent = _local.temporary if _local else None
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
