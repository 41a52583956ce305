"""Datasets on disk: `dataset.json`, `images.csv` and, for packed bytes, `shards/*.tar`.

Raw (from ingest) and processed (from preprocess) datasets share this format. Plain Python, so
that any stage, test or notebook reads one without further installation.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from components.runtime.files import read_below
from components.runtime.schema import parameters_of
from components.runtime.spreadsheet import Table, original

TABLES = ("dataset.json", "images.csv")  # what `load_info` and `load_images` need of a dataset
SPLITS = ("train", "validation", "test")
FINE, REPAIRED, LEFT_OUT = "fine", "repaired", "left_out"


class Image(NamedTuple):
    """One row of `images.csv`; a dataset writes only the columns of its kind."""

    path: str = ""  # posix, below the source's root; unique, but for names repeated in an archive
    label: str = ""
    split: str = ""  # train, validation, test; empty in a raw dataset without ready-made split
    verdict: str = ""  # fine, repaired, left_out
    reason: str = ""
    sha256: str = ""  # of the original file's bytes
    group: str = ""  # id of its group of near duplicates; empty when alone
    width: int = 0  # pixels, original, upright
    height: int = 0
    brightness: float = 0.0  # mean, 0-255
    shard: str = ""  # file name below shards/; empty when the bytes are at root/path
    offset: int = 0  # bytes, of the image's first byte in the shard
    size: int = 0  # bytes


PLACE = Image._fields.index("shard")  # the columns from here on say where the bytes are
COLUMNS = {
    "raw": Image._fields,
    "processed": tuple(f for f in Image._fields if f not in ("verdict", "reason")),
}
TYPES = {"width": int, "height": int, "brightness": float, "offset": int, "size": int}


def load_info(folder: Path) -> dict[str, Any]:
    """What `dataset.json` says; FileNotFoundError when `folder` is no dataset."""
    return json.loads((Path(folder) / "dataset.json").read_text(encoding="utf-8"))


def save_info(folder: Path, info: dict[str, Any]) -> None:
    """Write `dataset.json`, the last file of a dataset: where it is, the dataset is whole."""
    text = json.dumps(info, indent=1, ensure_ascii=True) + "\n"
    (Path(folder) / "dataset.json").write_text(text, encoding="utf-8")


def recorded_parameters(settings: Any) -> dict[str, Any]:
    """A stage's parameters for `dataset.json`, without those that leave the result as it is."""
    known = parameters_of(type(settings)).items()
    return {name: getattr(settings, name) for name, about in known if about.affects_result}


def load_images(folder: Path, split: str | None = None) -> list[Image]:
    """The rows of `images.csv` in their order, of one split or of all."""
    with _open_table(folder, "r") as file:
        table = csv.reader(file)
        names = next(table)
        convert = [TYPES.get(name, original) for name in names]
        rows = (
            Image(**{n: c(v) for n, c, v in zip(names, convert, row, strict=True) if v})
            for row in table  # an empty cell takes the default
        )
        return [row for row in rows if split is None or row.split == split]


def save_images(folder: Path, images: Iterable[Image], kind: str) -> str:
    """Write `images.csv` with the columns of `kind` (raw or processed); its sha256."""
    columns = COLUMNS[kind]
    places = [Image._fields.index(name) for name in columns]
    unpacked = len(columns) - 3
    with _open_table(folder, "w") as file:
        table = Table(file)
        table.writerow(columns)
        for image in images:
            row = [image[place] for place in places]
            table.writerow(row if image.shard else [*row[:unpacked], "", "", ""])
    return hashlib.sha256((Path(folder) / "images.csv").read_bytes()).hexdigest()


def _open_table(folder: Path, mode: str) -> Any:
    # File names need not be valid UTF-8: surrogateescape keeps their bytes.
    path = Path(folder) / "images.csv"
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")


class ShardReader(contextlib.AbstractContextManager):
    """Reads the bytes of a dataset's images, packed or not; any number of threads may share one.

    Use it as a context manager, or `close()` it: it keeps the shards open.
    """

    def __init__(self, folder: Path, info: dict[str, Any] | None = None) -> None:
        """`info` is what `dataset.json` says or, while the dataset is made, will say."""
        self._shards = Path(folder) / "shards"
        root = (info or load_info(folder)).get("root")
        self._root = Path(root) if root else None
        self._files: dict[str, int] = {}

    def read(self, image: Image) -> bytes:
        """The bytes of `image`; OSError when its file is gone or shorter than the table says."""
        if not image.shard:
            if self._root is None:
                raise FileNotFoundError(f"{image.path}: neither packed nor below a root folder")
            return read_below(self._root, image.path)
        file = self._files.get(image.shard)
        if file is None:
            opened = os.open(self._shards / image.shard, os.O_RDONLY)
            file = self._files.setdefault(image.shard, opened)
            if file != opened:  # another thread was faster
                os.close(opened)
        data = os.pread(file, image.size, image.offset)
        if len(data) != image.size:
            raise OSError(f"{self._shards / image.shard}: shorter than images.csv says")
        return data

    def close(self) -> None:
        """Close the shards."""
        while self._files:
            os.close(self._files.popitem()[1])

    def __exit__(self, *_: object) -> None:
        self.close()
