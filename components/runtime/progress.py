"""Progress of long loops: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], *, total: int | None = None, label: str) -> Iterator[T]:
    """Yield `items`; on a terminal show `label`, how many of `total`, and the time left."""
    return iter(tqdm(items, total=total, desc=label, unit="", disable=None, leave=False))
