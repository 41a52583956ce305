"""Whatever happens to a store between runs, each reference holds what its record says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
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

from components.runtime import storage
from components.runtime.files import CHECKED, read_json
from components.runtime.schema import BadInput, parameter
from components.runtime.stores import Artifact
from pipelines.dag import PETS
from pipelines.engine import steps
from pipelines.engine.fingerprint import Dependencies
from pipelines.engine.offline import OfflineSteps
from pipelines.engine.pipeline import Pipeline, Stage


@dataclass(frozen=True)
class Number:
    """The only parameter of a toy stage."""

    number: int = parameter()


def made(stage: str, number: int, source: str) -> str:
    """What a toy stage makes of its number and of what went into it."""
    return hashlib.sha256(f"{stage} {number} {source}".encode()).hexdigest()


@dataclass(frozen=True)
class Toy(Stage):
    """A stage whose output is a hash of its input: right or wrong at a glance."""

    @property
    def component(self) -> Callable[..., str]:
        """Writes two files, one of which tells a time."""

        def toy(source: str = "", fingerprint: str = "", **parameters: str) -> str:
            with storage.workspace() as folder:
                store = storage.store()
                given = (store.fetch(source) / "made").read_text() if source else ""
                text = made(self.name, int(parameters["number"]), given)
                (folder / "made").write_text(text)
                (folder / "about.json").write_text(json.dumps({"number": parameters["number"]}))
                (folder / "time").write_text(os.urandom(4).hex())
                return store.publish(folder, Artifact(self.name, content=text, apart=("time",)))

        return toy


TABLE = tuple(Toy(name, Number, delivers={"made": f"{name}.txt"}) for name in ("first", "second"))
PIPELINE = Pipeline(
    name="toy",
    version="1",
    entry="",
    table=TABLE,
    dag={"first": {}, "second": {"source": "first"}},
    objective="",
    headline=lambda figures: "",
)
PETS.parameters.tell_hydra()  # again: other tests compose the real one


def toy_dependencies(stage: str, parameters: dict[str, str], inputs: dict[str, str]) -> Any:
    return Dependencies(stage, parameters, inputs, {}, {})


class Outputs(RuleBasedStateMachine):
    """Runs, and all that can happen to what they leave."""

    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.runs = 0
        self.expected: dict[Path, str] = {}  # what a run's own folder has to hold

    def teardown(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    @rule(first=st.integers(0, 1), second=st.integers(0, 2), cache=st.booleans())
    def run(self, first: int, second: int, cache: bool) -> None:
        """What a run delivers, and what it names, is what its parameters give."""
        self.runs += 1
        folder = self.root / "runs" / str(self.runs)
        folder.mkdir(parents=True)
        run = SimpleNamespace(
            folder=self.root / "outputs", cache=cache, force=[], stages=["first", "second"]
        )
        config = SimpleNamespace(first=Number(first), second=Number(second), run=run)
        done = OfflineSteps(PIPELINE, config, folder)
        done.run_all()
        wanted = made("first", first, "")
        for name, number in (("first", first), ("second", second)):
            wanted = wanted if name == "first" else made("second", number, wanted)
            reference = done.references[name]
            assert (done.store.fetch(reference) / "made").read_text() == wanted
            assert done.store.identity(reference).content == wanted
            if name in done.made:
                self.expected[folder / f"{name}.txt"] = wanted

    def _published(self) -> list[Path]:
        return sorted(
            path
            for path in self.root.glob("outputs/*s/*/*")
            if path.is_file() and path.name != CHECKED
        )

    @rule(place=st.integers(0, 99), byte=st.binary(min_size=1, max_size=3))
    def alter(self, place: int, byte: bytes) -> None:
        """A published file gets other bytes, at the same time stamp."""
        if files := self._published():
            path = files[place % len(files)]
            before = path.stat()
            data = path.read_bytes()
            path.write_bytes(byte + data[len(byte) :])
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(place=st.integers(0, 99))
    def delete(self, place: int) -> None:
        """A published file goes."""
        if files := self._published():
            files[place % len(files)].unlink()

    @rule(place=st.integers(0, 99), text=st.sampled_from(["", "{}", "[]", '{"reference": 1}']))
    def spoil_a_record(self, place: int, text: str) -> None:
        """A record of a finished step is damaged."""
        if records := sorted(self.root.glob("outputs/cache/*/*.json")):
            records[place % len(records)].write_text(text)

    @rule(place=st.integers(0, 99))
    def write_into_a_run_s_folder(self, place: int) -> None:
        """A person edits what a run delivered."""
        if paths := sorted(self.expected):
            path = paths[place % len(paths)]
            path.write_text("edited")
            del self.expected[path]

    @rule()
    def kill(self) -> None:
        """A run dies while it fills its workspace, and nobody holds the lock any more."""
        left = self.root / "outputs" / "tmp" / "0123456789abcdef"
        left.mkdir(parents=True, exist_ok=True)
        (left / "made").write_text("half")

    @invariant()
    def what_was_delivered_stays(self) -> None:
        """Nothing but a person changes a run's folder."""
        for path, text in getattr(self, "expected", {}).items():
            assert path.read_text() == text

    @invariant()
    def each_reference_holds_what_its_record_says(self) -> None:
        """What can be fetched is right; all else is refused."""
        if not hasattr(self, "root"):
            return
        store = storage.LocalStore(self.root / "outputs")
        for path in self.root.glob("outputs/*s/*"):
            reference = path.relative_to(store.outputs).as_posix()
            if reference.split("/")[0] not in ("firsts", "seconds"):
                continue
            try:
                folder = store.fetch(reference)
            except BadInput:
                assert not store.is_intact(reference)
                continue
            assert read_json(folder / "sealed.json")["content"] == (folder / "made").read_text()


def test_no_sequence_of_events_makes_a_reference_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "dependencies", toy_dependencies)
    monkeypatch.setattr(storage, "_local", None)
    run_state_machine_as_test(
        Outputs,
        settings=settings(
            max_examples=40,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
