"""Predictions as rows of CSV or JSON Lines, on standard output or in a file that is whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from components.runtime.files import written
from components.runtime.schema import BadInput
from components.runtime.spreadsheet import Table

Write = Callable[[str, str, np.ndarray], None]  # path, predicted, probabilities

STANDARD_OUTPUT = "-"
NONE = "none of them"  # what a photo is called that no class is probable enough for


def check_free(name: str, parameter: str) -> None:
    """`BadInput` if a file of that name can't be written: it exists, or its folder does not."""
    if os.path.lexists(name):
        raise BadInput(f"{parameter}={name}: exists already; name another file, or remove it")
    if not Path(name).resolve().parent.is_dir():
        raise BadInput(f"{parameter}={name}: there is no folder {Path(name).parent}")


@contextlib.contextmanager
def opened(name: str, parameter: str) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name when all is written."""
    text = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    if name == STANDARD_OUTPUT:
        sys.stdout.reconfigure(**text, line_buffering=True)
        yield sys.stdout
        return
    try:
        with written(Path(name)) as temporary:
            with temporary.open("w", **text) as file:
                yield file
            check_free(name, parameter)  # it may have come to be in the meantime
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadInput(f"{parameter}={name}: can't be written ({error.strerror})") from None


def csv_rows(file: TextIO, classes: list[str]) -> Write:
    """Columns path, predicted and each class; the header comes with the first row."""
    table = Table(file)
    header = [["path", "predicted", *classes]]

    def write(path: str, predicted: str, probabilities: np.ndarray) -> None:
        while header:
            table.writerow(header.pop())
        table.writerow([path, predicted, *(f"{value:.6f}" for value in probabilities)])

    return write


def json_rows(file: TextIO, classes: list[str]) -> Write:
    """One object a line: path, predicted, and probabilities by class."""

    def write(path: str, predicted: str, probabilities: np.ndarray) -> None:
        named = zip(classes, (round(float(value), 6) for value in probabilities), strict=True)
        row = {"path": path, "predicted": predicted, "probabilities": dict(named)}
        text = json.dumps(row, ensure_ascii=False)
        file.write(text.encode("utf-8", "backslashreplace").decode() + "\n")  # \udc80: JSON's own

    return write


def name_of(probabilities: np.ndarray, classes: list[str], threshold: float) -> str:
    """The most probable class, or `NONE` where even that one is less probable than `threshold`."""
    best = int(probabilities.argmax())
    return classes[best] if probabilities[best] >= threshold else NONE


ROWS: dict[str, Callable[[TextIO, list[str]], Write]] = {"csv": csv_rows, "jsonl": json_rows}
