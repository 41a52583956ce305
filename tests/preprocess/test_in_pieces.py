"""Whatever becomes of a set of photos, a dataset made in pieces is the one made from scratch."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from components.imaging.artifact import dataset_artifact
from components.imaging.dataset import LEFT_OUT, PLACE, ShardReader, load_images, load_info
from components.ingest.audit import build_raw_dataset, pieces_of
from components.ingest.sources import fingerprint
from components.preprocess import build
from components.runtime import hashes
from components.runtime.files import CHECKED, SEAL
from components.runtime.schema import BadInput
from components.runtime.stores.local_store import LocalStore
from tests.ingest.builders import (
    contents,
    encoded,
    ingest_settings,
    photo,
    preprocess_settings,
)

CODE = "c" * 16
PLACES = st.integers(0, 99)


def made(folder: Path) -> dict[str, Any]:
    """All of a dataset but for where its pictures lie."""
    info = load_info(folder)
    images = load_images(folder)
    with ShardReader(folder) as reader:
        pictures = [b"" if one.verdict == LEFT_OUT else reader.read(one) for one in images]
    files = {
        name: data
        for name, data in contents(folder).items()
        if name not in ("dataset.json", "images.csv", SEAL, CHECKED)
        and not name.startswith("shards/")
    }
    return {
        "info": {name: value for name, value in info.items() if name != "files"},
        "rows": [one[:PLACE] for one in images],
        "pictures": pictures,
        "files": files,
    }


def extend(store: LocalStore, ingest: Any, preprocess: Any, pack: bool = False) -> list[Path]:
    """Both datasets as their steps make them: from earlier ones of the store, published there."""
    pieces = pieces_of(ingest, CODE)
    with store.workspace() as folder:
        earlier = store.with_pieces(pieces)
        build_raw_dataset(ingest, folder, pack=pack, earlier=earlier, scratch=store.scratch)
        raw = store.publish(folder, dataset_artifact(folder, None, pieces=pieces))
    pieces = build.pieces_of(preprocess, CODE)
    with store.workspace() as folder:
        earlier = store.with_pieces(pieces)
        build.build_dataset(store.fetch(raw), folder, preprocess, earlier)
        done = store.publish(folder, dataset_artifact(folder, raw, pieces=pieces))
    return [store.fetch(raw), store.fetch(done)]


def from_scratch(root: Path, ingest: Any, preprocess: Any, pack: bool = False) -> list[Path]:
    """The same in an empty store."""
    shutil.rmtree(root, ignore_errors=True)
    return extend(LocalStore(root), ingest, preprocess, pack)


def outcome(function: Any, *arguments: Any) -> Any:
    """What is in the datasets, or what the person reads instead."""
    try:
        return [made(folder) for folder in function(*arguments)]
    except BadInput as error:
        return str(error)


class Photos(RuleBasedStateMachine):
    """A person at work on a folder of photos, and what may befall the store meanwhile."""

    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.photos = self.root / "photos"
        self.store = LocalStore(self.root / "outputs")
        self.ingest: dict[str, Any] = {}
        self.preprocess: dict[str, Any] = {"images_per_file": 4, "image_size": 12}
        self.kind = "folder"
        self.drawn = 0
        for number in range(14):
            self.add("ab"[number % 2], 1)

    def teardown(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _some(self, place: int) -> Path:
        files = sorted(path for path in self.photos.rglob("*") if path.is_file())
        return files[place % len(files)]

    def _new(self, label: str, ending: str = "jpg") -> Path:
        self.drawn += 1
        target = self.photos / label / f"{self.drawn}.{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @rule(label=st.sampled_from("ab"), count=st.integers(1, 6))
    def add(self, label: str, count: int) -> None:
        for _ in range(count):
            path = self._new(label)
            path.write_bytes(encoded(photo(self.drawn, (20, 17))))

    @rule(place=PLACES, quality=st.integers(30, 60))
    def add_a_near_duplicate(self, place: int, quality: int) -> None:
        number = 1 + place % self.drawn
        self._new("ab"[place % 2]).write_bytes(encoded(photo(number, (20, 17)), quality=quality))

    @rule(place=PLACES, label=st.sampled_from("ab"))
    def add_a_copy(self, place: int, label: str) -> None:
        shutil.copy(self._some(place), self._new(label))

    @rule(place=PLACES, label=st.sampled_from("ab"), cut=st.integers(0, 500))
    def add_a_damaged_one(self, place: int, label: str, cut: int) -> None:
        self._new(label).write_bytes(self._some(place).read_bytes()[:cut])

    @rule(places=st.lists(PLACES, min_size=1, max_size=5))
    def remove(self, places: list[int]) -> None:
        for place in places:
            self._some(place).unlink()

    @rule(place=PLACES, label=st.sampled_from("ab"), ending=st.sampled_from(["jpg", "png", "x"]))
    def rename(self, place: int, label: str, ending: str) -> None:
        """To another name, and perhaps another class."""
        self._some(place).rename(self._new(label, ending))

    @rule(one=PLACES, other=PLACES)
    def swap(self, one: int, other: int) -> None:
        paths = [self._some(one), self._some(other)]
        (before, other_before), times = [p.read_bytes() for p in paths], paths[0].stat()
        paths[0].write_bytes(other_before)
        paths[1].write_bytes(before)
        for path in paths:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    @rule(place=PLACES)
    def touch(self, place: int) -> None:
        self._some(place).touch()

    @rule(place=PLACES)
    def edit_at_the_same_size_and_time(self, place: int) -> None:
        path = self._some(place)
        before, data = path.stat(), path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([255 - b for b in data[middle : middle + 1]])
                         + data[middle + 1 :])  # fmt: skip
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(kind=st.sampled_from(["folder", "packed", "archive"]))
    def give_it_as(self, kind: str) -> None:
        self.kind = kind

    @rule(
        change=st.sampled_from(
            [{"min_side": 16}, {"min_side": 18}, {"near_duplicate_distance": -1},
             {"near_duplicate_distance": 12}]
        )
    )  # fmt: skip
    def change_ingest(self, change: dict[str, Any]) -> None:
        self.ingest |= change

    @rule(
        change=st.sampled_from(
            [{"image_size": 12}, {"image_size": 9}, {"quality": 70}, {"split_seed": 5},
             {"images_per_file": 2}, {"images_per_file": 9}, {"validation_fraction": 0.4}]
        )
    )  # fmt: skip
    def change_preprocess(self, change: dict[str, Any]) -> None:
        self.preprocess |= change

    @rule(place=PLACES, cut=st.booleans())
    def damage_what_is_kept(self, place: int, cut: bool) -> None:
        """A shard, a table, what was found out, or the hashes, at the same time stamp."""
        paths = [path for path in self.store.outputs.rglob("*") if path.is_file()]
        kept = [path for path in sorted(paths) if (path.name != CHECKED and "/tmp/" not in str(path)
                and path.suffix in (".tar", ".csv", ".json")) or path.parent.name == "hashes"]  # fmt: skip
        if kept:
            path = kept[place % len(kept)]
            before, data = path.stat(), path.read_bytes()
            path.chmod(0o644)
            path.write_bytes(data[: len(data) // 2] if cut else data[:-9] + b"7" + data[-8:])
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(place=PLACES)
    def lose_an_output(self, place: int) -> None:
        if folders := sorted(self.store.outputs.glob("datasets/*")):
            shutil.rmtree(folders[place % len(folders)])

    @invariant()
    def it_is_as_from_scratch(self) -> None:
        """The datasets, and the fingerprint of the source."""
        if not hasattr(self, "root"):
            return
        path, source = self.photos, "archive" if self.kind == "archive" else "folder"
        if source == "archive":
            path = self.root / "photos.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for file in sorted(self.photos.rglob("*")):
                    archive.write(file, file.relative_to(self.photos))
        ingest = ingest_settings(source, path=path, max_rejected_fraction=0.9, **self.ingest)
        given = (ingest, preprocess_settings(**self.preprocess), self.kind == "packed")
        assert outcome(extend, self.store, *given) == outcome(
            from_scratch, self.root / "scratch", *given
        )
        assert fingerprint(ingest, None, self.store.scratch) == fingerprint(ingest)


@pytest.mark.parametrize("count", [12])
def test_no_sequence_of_changes_makes_another_dataset_than_from_scratch(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "TICK", 0)  # between two changes of a file lies a whole run
    run_state_machine_as_test(
        Photos,
        settings=settings(
            max_examples=int(os.environ.get("EXAMPLES", count)),
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
