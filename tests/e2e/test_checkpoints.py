"""A training that is aborted goes on where it was: in the same task, on another machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.e2e.conftest import TINY, ClearML

pytestmark = pytest.mark.slow

MODULE = "components/train/checkpoints.py"
EPOCHS, LAST = 6, 4  # the training waits in the epoch after the latter while a file is there
WAITS = """
import time as _time
_save = Checkpoints.save

def _save_and_wait(self, capture):
    _save(self, capture)
    while len(capture().position.history) == {} and Path({!r}).exists():
        _time.sleep(0.1)

Checkpoints.save = _save_and_wait
"""
CURVES = {
    ("loss", "training"),
    ("loss", "validation"),
    ("accuracy", "training"),
    ("accuracy", "validation"),
    ("auc", "validation"),
    ("learning_rate", "training"),
    ("seconds", "training"),
    ("images_per_second", "training"),
}


def push(clearml: ClearML, module: str, text: str) -> None:
    """Change a module for the agents too."""
    (clearml.checkout.root / module).write_text(text)
    for arguments in (["commit", "-qam", "Wait"], ["push", "-q", "origin", "main"]):
        subprocess.run(["git", *arguments], cwd=clearml.checkout.root, check=True)


def enqueue(clearml: ClearML, task: str, queue: str) -> None:
    """What the button ENQUEUE of the web UI does to an aborted task."""
    clearml.api("tasks.enqueue", task=task, queue_name=clearml.queues[queue])
    ended = clearml.finished(task)
    assert ended["status"] == "completed", clearml.console(task)


def points(clearml: ClearML, task: str) -> Counter[tuple[str, str, int]]:
    """How often the server has each point of a task's training curves."""
    answer = clearml.api("events.get_task_events", task=task, event_type="training_stats_scalar")
    found = Counter((e["metric"], e["variant"], e["iter"]) for e in answer["events"])
    machine, single = ":monitor:", "Summary"
    return Counter({k: n for k, n in found.items() if not k[0].startswith((machine, single))})


@pytest.fixture(scope="module")
def resumed(clearml: ClearML, local: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A run and its `train` that were aborted after epoch LAST and enqueued again."""
    marker = tmp_path_factory.mktemp("marker") / "wait"
    marker.touch()
    text = (clearml.checkout.root / MODULE).read_text()
    push(clearml, MODULE, text + WAITS.format(LAST + 1, str(marker)))
    try:
        done = clearml.run("run=queue", f"train.epochs={EPOCHS}")
        assert done.returncode == 0, done.stdout + done.stderr
        run = clearml.controllers()[0]["id"]
        clearml.until(run, lambda _: "train" in clearml.steps(run), 120)
        step = clearml.steps(run)["train"]["id"]
        clearml.until(step, lambda _: f"epoch {LAST}/{EPOCHS}" in clearml.console(step), 120)
        clearml.api("tasks.stop", task=run, include_pipeline_steps=True)
        for task in (step, run):
            assert clearml.finished(task, seconds=90)["status"] == "stopped"
        shutil.rmtree(clearml.home / "cache" / "checkpoints")  # as on another machine
        marker.unlink()
        enqueue(clearml, step, "steps")
        enqueue(clearml, run, "controller")
        yield run, step
    finally:
        push(clearml, MODULE, text)


def test_it_goes_on_after_the_last_epoch_with_the_same_result(
    clearml: ClearML, resumed: tuple[str, str], tmp_path: Path
) -> None:
    _, step = resumed
    told = re.compile(rf"going on after epoch ({LAST}|{LAST + 1})\b")
    clearml.until(step, lambda _: told.search(clearml.console(step)), 30)  # agents send it late
    (shown,) = clearml.task(step)["models"]["output"]
    model = clearml.api("models.get_by_id", model=shown["model"])["model"]
    undisturbed = Checkout(tmp_path)
    stages = "run.stages=[ingest,preprocess,train]"
    assert undisturbed.run(*TINY, stages, f"train.epochs={EPOCHS}").returncode == 0
    (described,) = (undisturbed.root / "outputs/models").glob("*/model.json")
    assert model["metadata"]["content"]["value"] == json.loads(described.read_text())["content"]
    assert not list((clearml.home / "cache" / "checkpoints").iterdir())


def test_each_page_has_each_point_of_each_curve_once(
    clearml: ClearML, resumed: tuple[str, str]
) -> None:
    run, step = resumed
    assert clearml.console(run).count("train      reused from run") == 1
    expected = Counter({(*curve, e): 1 for curve in CURVES for e in range(1, EPOCHS + 1)})
    assert points(clearml, step) == expected
    assert points(clearml, run) == expected
