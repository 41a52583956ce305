"""Whatever becomes of a set of photos, a dataset made in pieces is the one made from scratch."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
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
from components.ingest import audit, verdict
from components.ingest.audit import build_raw_dataset, pieces_of
from components.ingest.sources import fingerprint
from components.preprocess import build, images
from components.runtime import hashes
from components.runtime.files import CHECKED, SEAL
from components.runtime.schema import BadInput
from components.runtime.stores import local_store
from components.runtime.stores.local_store import LocalStore
from tests.ingest.builders import (
    contents,
    encoded,
    fill,
    ingest_settings,
    photo,
    photos,
    preprocess_settings,
)

ROOT = Path(__file__).parents[2]
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
        files = self._files()
        return files[place % len(files)]

    def _files(self) -> list[Path]:
        return sorted(path for path in self.photos.rglob("*") if path.is_file())

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
        """At least one stays."""
        for place in places[: len(self._files()) - 1]:
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
        patterns = ("datasets/*/shards/*", "datasets/*/*.csv", "datasets/*/*.json")
        kept = [path for pattern in (*patterns, "datasets/*/findings/*", "cache/hashes/*")
                for path in sorted(self.store.outputs.glob(pattern))]  # fmt: skip
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


def test_no_sequence_of_changes_makes_another_dataset_than_from_scratch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hashes, "TICK", 0)  # between two changes of a file lies a whole run
    monkeypatch.setattr(audit, "MOST_PICTURES", 2)
    run_state_machine_as_test(
        Photos,
        settings=settings(
            max_examples=12,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@dataclass
class Counts:
    """How many pictures were looked at, and how many were encoded."""

    examined: int = 0
    encoded: int = 0


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """What is done in this process, and with files of any age."""
    counted = Counts()
    examine, make_stored = verdict._examine, images.make_stored

    def counted_examine(*arguments: Any) -> Any:
        counted.examined += 1
        return examine(*arguments)

    def counted_make_stored(*arguments: Any) -> Any:
        counted.encoded += 1
        return make_stored(*arguments)

    monkeypatch.setattr(verdict, "_examine", counted_examine)
    monkeypatch.setattr(images, "make_stored", counted_make_stored)
    monkeypatch.setattr(hashes, "TICK", 0)
    return counted


@dataclass
class Set:
    """Photos, as a source of one kind, and the store that has their datasets."""

    root: Path
    kind: str

    def __post_init__(self) -> None:
        self.store = LocalStore(self.root / "outputs")
        self.photos = fill(self.root / "photos", photos(15))

    def given(self, **changes: Any) -> tuple[Any, Any, bool]:
        """The settings of both stages, and whether a folder is packed."""
        path, source = self.photos, "folder"
        if self.kind == "archive":
            path, source = self.root / "photos.zip", "archive"
            with zipfile.ZipFile(path, "w") as archive:
                for file in sorted(self.photos.rglob("*.*")):
                    archive.write(file, file.relative_to(self.photos))
        known = {name: changes.pop(name) for name in set(changes) & set(vars(ingest_settings()))}
        preprocess = preprocess_settings(**{"images_per_file": 10} | changes)
        return ingest_settings(source, path=path, **known), preprocess, self.kind == "packed"

    def extended(self, **changes: Any) -> list[Path]:
        """Both datasets; they are those from scratch."""
        given = self.given(**changes)
        done = extend(self.store, *given)
        assert list(map(made, done)) == list(map(made, from_scratch(self.root / "new", *given)))
        return done

    def shards(self, dataset: Path) -> set[str]:
        """The names of a dataset's shards."""
        return {path.name for path in dataset.glob("shards/*")}


@pytest.fixture(params=["folder", "packed", "archive"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Set:
    return Set(tmp_path, request.param)


def test_only_what_is_new_is_examined_and_encoded(own: Set, counts: Counts) -> None:
    given = own.given()
    first = extend(own.store, *given)
    assert (counts.examined, counts.encoded) == (30, 30)
    assert extend(own.store, *given) == first
    (own.photos / "cat/1.jpg").rename(own.photos / "dog/renamed.jpg")
    (own.photos / "cat/2.jpg").unlink()
    fill(own.photos, {"cat/new.jpg": encoded(photo(77)), "cat/text.jpg": b"text"})
    extend(own.store, *own.given())
    assert (counts.examined, counts.encoded) == (32, 31)
    extend(own.store, *own.given(near_duplicate_distance=-1, split_seed=7, images_per_file=4))
    assert (counts.examined, counts.encoded) == (32, 31)


@pytest.mark.parametrize(
    ("change", "examined", "encoded"),
    [
        ({"max_megapixels": 60}, 30, 0),
        ({"min_side": 20}, 30, 0),
        ({"min_contrast": 9}, 30, 0),
        ({"max_missing_fraction": 0.5}, 30, 0),
        ({"image_size": 20}, 0, 30),
        ({"resize": "pad"}, 0, 30),
        ({"format": "png"}, 0, 30),
        ({"quality": 50}, 0, 30),
    ],
)
def test_what_decides_a_piece_makes_all_of_them_anew(
    tmp_path: Path, counts: Counts, change: dict[str, Any], examined: int, encoded: int
) -> None:
    own = Set(tmp_path, "folder")
    extend(own.store, *own.given())
    counts.examined = counts.encoded = 0
    done = extend(own.store, *own.given(**change))
    assert (counts.examined, counts.encoded) == (examined, encoded)
    scratch = from_scratch(own.root / "new", *own.given(**change))
    assert list(map(made, done)) == list(map(made, scratch))


def test_without_code_to_rely_on_nothing_is_taken() -> None:
    assert pieces_of(ingest_settings(), "") == build.pieces_of(preprocess_settings(), "") == ""
    assert pieces_of(ingest_settings(), "a") != pieces_of(ingest_settings(), "b")


def test_earlier_shards_stay_and_are_not_many_nor_mostly_waste(own: Set) -> None:
    before = own.extended()
    for number in range(12):
        fill(own.photos, {f"cat/new{number}.jpg": encoded(photo(2000 + number))})
        after = own.extended()
        for old, new in zip(before, after, strict=True):
            kept = own.shards(old) & own.shards(new)
            assert number > 0 or kept == own.shards(old)
            assert len(own.shards(new)) <= 2 * 6 + 4
        before = after
    for place, path in enumerate(sorted(own.photos.rglob("*.jpg"))):
        if place % 4:
            path.unlink()
    for dataset in own.extended(min_images_per_class=1):
        live = sum(512 + one.size + -one.size % 512 for one in load_images(dataset))
        size = sum(path.stat().st_size for path in dataset.glob("shards/*"))
        assert size == 0 or live > 0.5 * size


def test_a_set_that_is_as_before_is_the_dataset_as_before(own: Set) -> None:
    before = own.extended()
    fill(own.photos, {"cat/new.jpg": encoded(photo(77))})
    assert not set(own.extended()) & set(before)
    (own.photos / "cat/new.jpg").unlink()
    moved = (own.photos / "cat/2.jpg").rename(own.root / "2.jpg")
    assert not set(own.extended()) & set(before)
    moved.rename(own.photos / "cat/2.jpg")
    assert own.extended() == before


@pytest.mark.parametrize(
    "pattern", ["shards/*", "images.csv", "dataset.json", "findings/*", "sealed.json"]
)
def test_what_is_damaged_is_made_again(own: Set, counts: Counts, pattern: str) -> None:
    own.extended()
    for path in own.store.outputs.glob(f"datasets/*/{pattern}"):
        before, data = path.stat(), path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    fill(own.photos, {"cat/new.jpg": encoded(photo(77))})
    own.extended()


@pytest.mark.parametrize("damage", [b"", b"x", b"{}", None])
def test_damaged_hashes_are_computed_again(own: Set, counts: Counts, damage: bytes | None) -> None:
    own.extended()
    files = list(own.store.scratch.glob("hashes/*"))
    assert files
    for path in files:
        data = path.read_bytes()
        other = data[:-9] + (b"0" if data[-9:-8] != b"0" else b"1") + data[-8:]
        path.write_bytes(other if damage is None else damage)
    own.extended()


def test_unchanged_files_are_not_read(own: Set, counts: Counts) -> None:
    """Seen by what is left of them: bytes that changed behind the back of every time stamp."""
    ingest, _, _ = own.given()
    before = fingerprint(ingest, None, own.store.scratch)
    (index,) = own.store.scratch.glob("hashes/*")
    content = index.read_bytes().partition(b"\n")[2]
    known = json.loads(content)
    for entry in known.values():
        entry[-1] = "f" * 64  # as if it had been read
    content = json.dumps(known).encode()
    index.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    assert fingerprint(ingest, None, own.store.scratch) != before


@pytest.mark.parametrize("how", ["written", "replaced", "swapped"])
def test_a_change_at_the_same_size_and_time_is_seen(
    tmp_path: Path, counts: Counts, how: str
) -> None:
    own = Set(tmp_path, "folder")
    one, other = own.photos / "cat/1.jpg", own.photos / "dog/2.jpg"
    noise = [photo(number, mode="L").tobytes() for number in (1, 2)]
    for path, pixels in zip((one, other), noise, strict=True):
        path.write_bytes(b"P5 64 48 255 " + pixels)  # of equal size; and no images to us
        os.utime(path, ns=(10**18, 10**18))
    own.extended()
    before = fingerprint(own.given()[0], None, own.store.scratch)
    data = one.read_bytes(), other.read_bytes()
    if how == "written":
        one.write_bytes(data[1])
        other.write_bytes(data[0])
    elif how == "replaced":
        (own.root / "other").write_bytes(data[1])
        (own.root / "other").replace(one)
    else:
        one.rename(own.root / "kept")
        other.rename(one)
        (own.root / "kept").rename(other)
    for path in (one, other):
        os.utime(path, ns=(10**18, 10**18))
    assert fingerprint(own.given()[0], None, own.store.scratch) != before
    own.extended()


def test_a_file_that_changed_just_now_is_read_again(tmp_path: Path) -> None:
    """It may change once more within the same time stamp."""
    own = Set(tmp_path, "folder")
    fingerprint(own.given()[0], None, own.store.scratch)
    assert [json.loads(path.read_bytes().partition(b"\n")[2])
            for path in own.store.scratch.glob("hashes/*")] in ([], [{}])  # fmt: skip


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.preprocess.test_in_pieces import Set, extend
module, name, number = sys.argv[2], sys.argv[3], int(sys.argv[4])
__import__(module)
module = sys.modules[module]
function, calls = getattr(module, name), []
def last(*arguments, **named):
    calls.append(1)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments, **named)
setattr(module, name, last)
own = Set.__new__(Set)
own.root, own.kind = Path(sys.argv[1]), "packed"
own.photos = own.root / "photos"
from components.runtime.storage import LocalStore
extend(LocalStore(own.root / "outputs"), *own.given())
"""


@pytest.mark.parametrize(
    "point",
    [
        ("components.ingest.verdict", "examine", 1),
        ("components.ingest.audit", "save_findings", 1),
        ("components.preprocess.images", "make_stored", 2),
        ("components.imaging.packing", "_size", 2),
        ("components.preprocess.build", "write_preview", 1),
        ("components.runtime.stores.local_store", "protect", 1),
        ("components.runtime.stores.local_store", "protect", 2),
    ],
)
def test_a_run_that_is_killed_leaves_what_the_next_one_needs(
    tmp_path: Path, point: tuple[str, str, int]
) -> None:
    own = Set(tmp_path, "packed")
    own.extended()
    fill(own.photos, {"cat/new.jpg": encoded(photo(77)), "cat/more.jpg": encoded(photo(78))})
    command = [sys.executable, "-c", KILLED, str(tmp_path), *map(str, point)]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    own.extended()


def test_two_runs_extend_a_set_at_once(own: Set) -> None:
    own.extended()
    fill(own.photos, {"cat/new.jpg": encoded(photo(77))})
    given = own.given()
    context = multiprocessing.get_context("fork")
    together = context.Barrier(2)

    def at_once(name: str) -> None:
        protect = local_store.protect

        def protect_together(*arguments: Any, **named: Any) -> None:
            together.wait(60)
            protect(*arguments, **named)

        local_store.protect = protect_together
        done = extend(LocalStore(own.root / "outputs"), *given)
        (own.root / name).write_text(" ".join(str(path) for path in done))

    runs = [context.Process(target=at_once, args=(name,)) for name in ("one", "two")]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    told = [(own.root / name).read_text().split() for name in ("one", "two")]
    assert told[0] == told[1]
    scratch = from_scratch(own.root / "new", *given)
    assert [made(Path(path)) for path in told[0]] == list(map(made, scratch))
