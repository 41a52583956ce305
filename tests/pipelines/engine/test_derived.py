"""A stage whose output others could make themselves: made for one, given to others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.runtime import storage
from components.runtime.schema import parameter
from components.runtime.stores import Artifact
from pipelines.dag import PETS
from pipelines.engine import steps
from pipelines.engine.fingerprint import Dependencies
from pipelines.engine.offline import OfflineSteps
from pipelines.engine.pipeline import Pipeline, Stage


@dataclass(frozen=True)
class Few:
    """What the derived stage shares with the one that it is made for."""

    number: int = parameter()


@dataclass(frozen=True)
class All(Few):
    """The parameters of the others."""

    more: int = parameter()


calls: list[tuple[str, dict[str, str]]] = []


@dataclass(frozen=True)
class Toy(Stage):
    """A stage that notes with what it was called."""

    @property
    def component(self) -> Callable[..., str]:
        """Writes a file that tells its parameters and inputs, but for what is derived."""

        def toy(fingerprint: str = "", **arguments: str) -> str:
            calls.append((self.name, arguments))
            with storage.workspace() as folder:
                told = {name: text for name, text in arguments.items() if name != "extra"}
                (folder / "made").write_text(str(told))
                return storage.store().publish(folder, Artifact(self.name))

        return toy


PIPELINE = Pipeline(
    name="toy",
    version="1",
    entry="",
    table=(
        Toy("first", All),
        Toy(
            "extra",
            Few,
            settings_of="second",
            needed=lambda settings: settings.number > 0,
            derived=True,
        ),
        Toy("second", All, given_by="made"),
        Toy("third", All),
    ),
    dag={
        "first": {},
        "extra": {"source": "first"},
        "second": {"source": "first", "extra": "extra"},
        "third": {"source": "second", "base": "first", "extra": "extra"},
    },
    objective="",
    headline=lambda figures: "",
)
PETS.parameters.tell_hydra()  # again: other tests compose the real one
EVERY = ["first", "extra", "second", "third"]


class World:
    """Runs on one store."""

    def __init__(self, root: Path) -> None:
        self.root, self.runs = root, 0

    def run(self, plan: bool = False, **changes: Any) -> list[str]:
        """The stages that a run called, in their order."""
        self.runs += 1
        folder = self.root / "runs" / str(self.runs)
        folder.mkdir(parents=True)
        of_run = {"cache": True, "force": [], "stages": EVERY, "made": None}
        of_run |= {name: changes.pop(name) for name in of_run.keys() & changes.keys()}
        config = SimpleNamespace(
            run=SimpleNamespace(folder=self.root / "outputs", **of_run),
            **{name: replace(All(1, 1), **changes.get(name, {})) for name in EVERY},
        )
        done = OfflineSteps(PIPELINE, config, folder)
        calls.clear()
        done.plan() if plan else done.run_all()
        return [name for name, _ in calls]

    def given(self, stage: str) -> str:
        """The derived reference that a stage was called with."""
        return next(arguments for name, arguments in calls if name == stage).get("extra", "")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    def toy_dependencies(stage: str, parameters: dict[str, str], inputs: dict[str, str]) -> Any:
        return Dependencies(stage, parameters, inputs, {}, {})

    monkeypatch.setattr(steps, "dependencies", toy_dependencies)
    monkeypatch.setattr(storage, "_local", None)
    return World(tmp_path)


def test_it_is_made_once_for_all_who_take_it(world: World) -> None:
    assert world.run() == EVERY
    assert world.given("second") == world.given("third") != ""
    assert world.run() == []
    assert world.run(second={"more": 2}) == ["second", "third"]
    assert world.given("second").startswith("extras/")
    assert world.run(second={"number": 2}) == ["extra", "second", "third"]


def test_it_is_made_only_when_the_stage_whose_parameters_it_has_runs(world: World) -> None:
    world.run()
    shutil.rmtree(world.root / "outputs" / "extras")
    assert world.run() == []
    assert world.run(third={"more": 2}) == ["third"]
    assert world.given("third") == ""
    assert world.run(second={"more": 2}) == ["extra", "second", "third"]


def test_it_is_in_nobody_s_fingerprint(world: World) -> None:
    without = [name for name in EVERY if name != "extra"]
    assert world.run(stages=without) == without
    assert world.given("second") == ""
    assert world.run() == []
    assert world.run(second={"more": 2}) == ["extra", "second", "third"]
    assert world.run(second={"more": 3}, stages=without) == ["second", "third"]
    assert world.given("second") == world.given("third") != ""  # it was there


def test_it_is_not_made_where_nobody_needs_it(world: World) -> None:
    assert world.run(second={"number": 0}) == ["first", "second", "third"]
    assert world.run(second={"number": 0}, force=["extra"]) == []


def test_it_can_be_had_alone_and_be_forced(world: World) -> None:
    assert world.run(stages=["first", "extra"]) == ["first", "extra"]
    assert world.run() == ["second", "third"]
    assert world.run(force=["extra"]) == ["extra"]
    assert world.run(cache=False) == EVERY
    (made,) = (world.root / "outputs" / "seconds").iterdir()
    assert world.run(made=f"seconds/{made.name}", stages=["first", "third"], third={"more": 3}) == [
        "third"
    ]


def test_a_plan_tells_of_it_where_it_would_be_made(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def planned(**changes: Any) -> list[str]:
        caplog.clear()
        assert world.run(plan=True, **changes) == []
        return [" ".join(line.split()[:2]) for line in caplog.messages]

    assert planned() == ["first run:", "extra run:", "second run:", "third run:"]
    world.run()
    assert planned() == ["first reuse:", "second reuse:", "third reuse:"]
    assert planned(second={"more": 2}) == [
        "first reuse:",
        "extra reuse:",
        "second run:",
        "third run:",
    ]
    assert planned(first={"more": 2})[1:3] == ["extra run:", "second run:"]
