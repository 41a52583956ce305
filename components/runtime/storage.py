"""Where this process publishes and fetches: what one step hands to the next, by reference.

A reference is a short string: a folder below `outputs/` when offline, a ClearML id otherwise. A
stage fills an empty workspace and publishes it; what is published is complete and never changes.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from components.runtime.stores import Store
from components.runtime.stores.local_store import LocalStore

_local: LocalStore | None = None


def use_outputs(outputs: Path) -> LocalStore:
    """Work offline: publish below `outputs` instead of on a ClearML server."""
    global _local
    _local = LocalStore(outputs)
    _local.remove_leftovers()
    return _local


def is_local() -> bool:
    """Whether this process works offline."""
    return _local is not None


def store() -> Store:
    """Where this process publishes and fetches."""
    if _local:
        return _local
    from components.runtime.stores.server_store import ServerStore

    return ServerStore()


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """An empty folder to fill, on the file system of the store; removed if not published."""
    if _local:
        with _local.workspace() as folder:
            yield folder
    else:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            yield Path(name)
