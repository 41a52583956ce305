"""One page with the photos that the model is least certain about, and what it says of them."""

from __future__ import annotations

import heapq
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from components.imaging.decoding import decode_rgb
from components.imaging.html import as_data, page
from components.runtime.text import printable

TEMPLATE = Path(__file__).with_name("gallery.html.jinja")
SHOWN = 240  # photos at most, so that the page stays below a few megabytes
SIDE = 160  # pixels, the longer one of a thumbnail
NAMED = 100  # unreadable files at most


class Row(NamedTuple):
    """A prediction, in the order in which they leave the page: the most certain first."""

    certainty: float  # minus the probability of the most probable class
    number: int  # minus the place in the input
    path: str
    predicted: str
    best: list[tuple[str, float]]  # the two most probable classes


class Gallery:
    """Collects predictions, of which it keeps only as many as it shows."""

    def __init__(self, classes: list[str]) -> None:
        self.classes = classes
        self.rows: list[Row] = []  # a heap
        self.counts: Counter[str] = Counter()
        self.unread: list[tuple[str, str]] = []
        self.unread_count = 0

    def add(self, path: str, predicted: str, probabilities: np.ndarray) -> None:
        """One more prediction."""
        order = np.argsort(-probabilities, kind="stable")[:2]
        best = [(self.classes[place], float(probabilities[place])) for place in order]
        row = Row(-best[0][1], -self.counts.total(), path, predicted, best)
        self.counts[predicted] += 1
        if len(self.rows) < SHOWN:
            heapq.heappush(self.rows, row)
        else:
            heapq.heappushpop(self.rows, row)

    def skip(self, path: str, problem: str) -> None:
        """One more file without a prediction."""
        self.unread_count += 1
        if len(self.unread) < NAMED:
            self.unread.append((printable(path), problem))

    def write(self, file: TextIO, about: dict[str, Any]) -> None:
        """The page; `about` is what it says of the model: name, temperature, evaluation, ..."""
        values = about | {
            "photos": [
                row._asdict() | {"path": printable(row.path), "source": _thumbnail(row.path)}
                for row in sorted(self.rows, reverse=True)
            ],
            "total": self.counts.total(),
            "counts": self.counts.most_common(),
            "unread": self.unread,
            "unread_count": self.unread_count,
        }
        file.write(page(TEMPLATE, values))


def _thumbnail(path: str) -> str:
    """As a data address; empty if the file is gone meanwhile."""
    try:
        return as_data(decode_rgb(Path(path).read_bytes(), 2 * SIDE), SIDE, "WEBP")
    except Exception:  # it may have changed into anything
        return ""
