"""Packs pictures into shards, and takes over what earlier datasets hold of them.

A shard is named by its bytes, so one that is taken over is the same file in both datasets.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from components.imaging.dataset import PLACE, Image, ShardReader, load_images, load_info

BLOCK = 512  # bytes; tar pads everything to it
MOST_DATASETS = 4  # earlier ones that are looked into
FEW = 0.02  # share of the pieces that is sooner made again than looked for in one more dataset
LIVE = 0.6  # of a shard's bytes, at least so many must be needed for it to be kept
MORE_SHARDS, SPARE_SHARDS = 2, 4  # times those that packing anew would give, and some

Key = TypeVar("Key")
Piece = TypeVar("Piece")
Pictures = dict[str, tuple[Path, Image]]  # by the original's sha256: a dataset and the row there


def look_into(
    folders: Iterable[Path], wanted: set[Key], take: Callable[[Path, set[Key]], dict[Key, Piece]]
) -> dict[Key, Piece]:
    """What earlier datasets hold of the wanted pieces; `take(folder, missing)` is what one has."""
    found: dict[Key, Piece] = {}
    missing = set(wanted)
    for folder in itertools.islice(folders, MOST_DATASETS if wanted else 0):
        new = take(folder, missing)
        found |= new
        missing -= new.keys()
        if not new or len(missing) <= FEW * len(wanted):
            break
    return found


def pictures_in(folder: Path, wanted: set[str]) -> Pictures:
    """The packed pictures of a dataset that are wanted."""
    images = load_images(folder)
    return {one.sha256: (folder, one) for one in images if one.shard and one.sha256 in wanted}


class ShardWriter(contextlib.AbstractContextManager):
    """Packs files into `shards/<beginning of their sha256>.tar`: plain tar, the same every time."""

    def __init__(
        self,
        folder: Path,
        images_per_file: int,
        *,
        ending: str = "",
        bytes_per_file: float = math.inf,
        earlier: Pictures | None = None,
    ) -> None:
        """`ending`: of the names in the tar; `earlier`: what `take_over` may use."""
        self._folder = Path(folder) / "shards"
        self._most, self._full, self._ending = images_per_file, bytes_per_file, ending
        self._earlier = earlier or {}
        self._readers: dict[Path, ShardReader] = {}
        self._file: Any = None
        self._hash = hashlib.sha256()
        self._open: dict[str, tuple[int, int]] = {}  # offset and size of what the shard has
        self.places: dict[str, tuple[str, int, int]] = {}  # by key: shard, offset, size
        self.files: dict[str, str] = {}  # sha256 by name of the shards that are complete
        self._keep_shards()

    def add(self, key: str, data: bytes) -> None:
        """Append a file, unless that of this key is there; `places` has it when the shard ends."""
        if key in self.places or key in self._open:
            return
        if self._file and (len(self._open) == self._most or self._file.tell() >= self._full):
            self.end_shard()
        if not self._file:
            self._folder.mkdir(exist_ok=True)
            self._file = (self._folder / "unfinished").open("wb")
            self._hash = hashlib.sha256()
        header = tarfile.TarInfo(key + self._ending)
        header.size = len(data)
        self._write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        self._open[key] = (self._file.tell(), len(data))
        self._write(data)
        self._write(bytes(-len(data) % BLOCK))

    def take_over(self, key: str) -> bool:
        """Append a picture that an earlier dataset holds; whether one does."""
        if key not in self._earlier:
            return False
        if key not in self.places:
            folder, image = self._earlier[key]
            reader = self._readers.get(folder) or self._readers.setdefault(
                folder, ShardReader(folder)
            )
            self.add(key, reader.read(image))
        return True

    def end_shard(self) -> None:
        """Begin another shard with the next file."""
        if not self._file:
            return
        self._write(bytes(2 * BLOCK))
        self._file.close()
        self._file = None
        digest = self._hash.hexdigest()
        shard = f"{digest[:16]}.tar"
        (self._folder / "unfinished").replace(self._folder / shard)
        self.files[shard] = digest
        self.places |= {key: (shard, *place) for key, place in self._open.items()}
        self._open = {}

    def placed(self, images: Iterable[Image]) -> list[Image]:
        """The rows with the places of their bytes, by `sha256`, those not packed as they are."""
        columns = Image._fields[PLACE:]
        return [
            image._replace(**dict(zip(columns, place, strict=True))) if place else image
            for image in images
            for place in [self.places.get(image.sha256)]
        ]

    def _keep_shards(self) -> None:
        """Copy the shards of `earlier` that are worth it, whole.

        Not those of which little is needed, or which hold more than they may; and if there were too
        many, none that is less than half full. None of parts, so that these don't show in the end.
        """
        shards: dict[str, dict[str, Image]] = defaultdict(dict)
        for key, (_, image) in self._earlier.items():
            shards[image.shard][key] = image
        places = {image.shard: folder for folder, image in self._earlier.values()}
        infos = {folder: load_info(folder) for folder in set(places.values())}
        full = {}
        for name, live in shards.items():
            if infos[places[name]]["kind"] == "part":
                continue
            used = sum(BLOCK + image.size + -image.size % BLOCK for image in live.values())
            if len(live) <= self._most and used >= LIVE * _size(places[name], name):
                full[name] = max(len(live) / self._most, used / self._full)
        if len(full) > MORE_SHARDS * sum(full.values()) + SPARE_SHARDS:
            full = {name: share for name, share in full.items() if share >= 0.5}
        for name in full:
            self._folder.mkdir(exist_ok=True)
            shutil.copyfile(places[name] / "shards" / name, self._folder / name)
            self.files[name] = infos[places[name]]["files"][name]
            self.places |= {
                key: (name, image.offset, image.size) for key, image in shards[name].items()
            }

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)

    def __exit__(self, *_: object) -> None:
        self.end_shard()
        for reader in self._readers.values():
            reader.close()


def _size(folder: Path, shard: str) -> int:
    return (folder / "shards" / shard).stat().st_size
