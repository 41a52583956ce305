"""Cells that others wrote, such as the names of files and classes, in tables for a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, TextIO

# What a spreadsheet may take for a formula, also in full width or behind spaces, but no number; a
# cell that looks like one of ours counts, so that each has one original.
FORMULA = re.compile(r"'*(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)


class Table:
    """Writes rows of a CSV file in which no spreadsheet takes a cell for a formula."""

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")

    def writerow(self, cells: Iterable[Any]) -> None:
        """One row."""
        self._rows.writerow(map(harmless, cells))


def harmless(cell: Any) -> Any:
    """The cell, with a quote before it where it is text that may be a formula."""
    return f"'{cell}" if isinstance(cell, str) and _suspicious(cell) else cell


def original(cell: str) -> str:
    """What `harmless` made such a cell of."""
    return cell[1:] if cell.startswith("'") and _suspicious(cell[1:]) else cell


def _suspicious(cell: str) -> bool:
    if cell[:1].isalnum():  # nearly always, and sooner told
        return False
    return bool(FORMULA.match(cell)) and not NUMBER.fullmatch(cell)
