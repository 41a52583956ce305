"""On a server a step runs again exactly when something it depends on changed.

Offline: `test_trust.py`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import ENTRY, Checkout
from tests.e2e.conftest import STAGES, TINY, ClearML

REUSED = "reuse: made by run "


class World:
    """A checkout with one finished run, and the way to run and plan in it."""

    def __init__(self, checkout: Checkout, server: ClearML | None) -> None:
        self.checkout = checkout
        self.server = server
        self.root = checkout.root

    def run(self, *arguments: str, **environment: str) -> dict[str, str]:
        """What a run says of each stage."""
        if self.server:
            done = self.server.run("run=local", *arguments, **environment)
        else:
            done = self.checkout.run(*TINY, *arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(re.findall(rf"^({'|'.join(STAGES)}) +(.+)$", done.stdout, re.MULTILINE))

    def plan(self, *arguments: str, **environment: str) -> dict[str, str]:
        """What a plan says of each stage."""
        return self.run("run.plan=true", *arguments, **environment)

    @contextlib.contextmanager
    def changed(self, name: str, old: str, new: str) -> Iterator[None]:
        """A file with other text, for a while."""
        path = self.root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        try:
            yield
        finally:
            path.write_text(text)


@pytest.fixture(scope="module")
def world(clearml: ClearML, local: str) -> World:
    return World(clearml.checkout, clearml)


def reused(told: dict[str, str]) -> list[str]:
    """The stages that are reused."""
    return [stage for stage in STAGES if re.match("reuse", told[stage])]


def test_nothing_changed(world: World) -> None:
    assert reused(world.plan()) == list(STAGES)


def test_a_commit_to_the_readme(world: World) -> None:
    (world.root / "README.md").write_text("More words.")
    subprocess.run(["git", "add", "README.md"], cwd=world.root, check=True)
    subprocess.run(["git", "commit", "-q", "-m", "Words"], cwd=world.root, check=True)
    subprocess.run(["git", "push", "-q", "origin", "main"], cwd=world.root, check=True)
    assert reused(world.plan()) == list(STAGES)


def test_comments_and_layout_of_a_module(world: World) -> None:
    name = "components/train/fit.py"
    with world.changed(name, "\n\n\n", "\n\n\n\n# Why it is so.\n\n"):
        assert reused(world.plan()) == list(STAGES)


def test_the_code_of_evaluate(world: World) -> None:
    name = "components/evaluate/metrics.py"
    with world.changed(name, "\n\n\n", "\n\nNOTHING = 0\n\n\n"):
        told = world.plan()
    assert reused(told) == ["ingest", "preprocess", "train"]
    assert told["evaluate"] == f"run: {name} changed"


def test_a_parameter_of_train(world: World) -> None:
    told = world.plan("train.learning_rate=1e-3")
    assert reused(told) == ["ingest", "preprocess"]
    assert told["train"] == "run: train.learning_rate 0.003 -> 0.001"
    assert told["evaluate"] == "run: unless the new model is the same"


def test_a_parameter_that_changes_no_result(world: World) -> None:
    assert reused(world.plan("preprocess.workers=2")) == list(STAGES)


def test_a_module_of_preprocess_whose_output_stays_the_same(world: World) -> None:
    name = "components/preprocess/splits.py"
    with world.changed(name, "\n\n\n", "\n\nNOTHING = 0\n\n\n"):
        told = world.run()
    assert told["preprocess"] == f"runs: {name} changed"
    assert reused(told) == ["ingest", "train", "evaluate"]


def test_the_version_of_a_package(world: World, tmp_path: Path) -> None:
    (tmp_path / "tensorflow-99.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: tensorflow\nVersion: 99.0\n"
    (tmp_path / "tensorflow-99.0.dist-info" / "METADATA").write_text(metadata)
    told = world.plan(PYTHONPATH=f"{world.root}:{tmp_path}")
    assert reused(told) == ["ingest", "preprocess"]
    assert re.fullmatch(r"run: tensorflow \S+ -> 99\.0", told["train"])


def test_an_image_more(world: World) -> None:
    image = world.root / "data/train/cat/one more.jpg"
    shutil.copy(world.root / "data/test/cat/000.jpg", image)
    try:
        told = world.plan()
    finally:
        image.unlink()
    assert reused(told) == []
    assert told["ingest"] == "run: input changed: images of the source"


def test_what_is_forced(world: World) -> None:
    told = world.plan("run.force=[train]")
    assert reused(told) == ["ingest", "preprocess"]
    assert told["train"] == "run: forced"
    assert set(world.plan("run.cache=false").values()) >= {"run: run.cache=false"}


def test_an_equal_model_made_again_is_not_evaluated_again(world: World) -> None:
    told = world.run("run.force=[train]")
    assert told["train"] == "runs: forced"
    assert reused(told) == ["ingest", "preprocess", "evaluate"]


def test_a_part_of_the_stages_from_existing_pieces(world: World) -> None:
    told = world.plan("run.stages=[evaluate]", "run.dataset=latest", "run.model=latest")
    assert set(told) == {"evaluate"}


# The rest depends on the local folder alone.


@pytest.fixture
def offline(tmp_path: Path) -> World:
    world = World(Checkout(tmp_path), None)
    world.run()
    return world


def test_an_unchanged_run_does_no_work(offline: World) -> None:
    import_times = subprocess.run(
        [sys.executable, "-X", "importtime", ENTRY, *TINY],
        cwd=offline.root,
        env={"PYTHONPATH": str(offline.root), "HOME": str(offline.root.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "evaluate   reused from run " in import_times.stdout
    imported = set(re.findall(r"\| +(\S+)$", import_times.stderr, re.MULTILINE))
    assert "clearml" in imported
    assert not imported & {"tensorflow", "keras", "sklearn", "matplotlib"}


def test_a_renamed_image_is_a_change_as_its_name_is_in_the_report(offline: World) -> None:
    image = offline.root / "data/train/cat/000.jpg"
    image.rename(image.with_name("another name.jpg"))
    offline.run("run.stages=[ingest,preprocess]")
    told = offline.plan()
    assert reused(told) == ["ingest", "preprocess"]
    assert told["train"] == "run: input changed: dataset"


def test_two_runs_at_the_same_time(offline: World) -> None:
    command = [sys.executable, ENTRY, *TINY, "train.seed=7"]
    environment = {"PYTHONPATH": str(offline.root), "HOME": str(offline.root.parent)}
    both = [subprocess.Popen(command, cwd=offline.root, env=environment) for _ in range(2)]
    assert [run.wait() for run in both] == [0, 0]
    assert reused(offline.plan("train.seed=7")) == list(STAGES)
