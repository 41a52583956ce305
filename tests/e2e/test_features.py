"""The stage features as a user meets it: made where a network stays as it is, then shared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.checkout import Checkout
from tests.e2e.conftest import TINY, ClearML


def test_features_are_made_once_and_change_nothing(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)

    def run(*arguments: str) -> tuple[str, dict[str, str]]:
        done = checkout.run(*TINY, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads((checkout.run_folder() / "stages.json").read_text())
        return done.stdout, {one["stage"]: one["reference"] for one in told}

    said, first = run()
    assert "features" not in said
    frozen = f"train.weights={first['train']}"
    said, second = run(frozen)
    assert "features   runs: never run" in said
    said, third = run(frozen, "train.learning_rate=0.1")
    assert "features   reused from run " in said
    assert third["features"] == second["features"]
    shutil.rmtree(checkout.root / "outputs" / "features")
    apart = ("run.stages=[train,evaluate]", "run.dataset=latest", "run.force=[train,evaluate]")
    said, alone = run(frozen, "train.learning_rate=0.1", *apart)
    assert "features  " not in said
    assert alone["train"] == third["train"]


def test_on_a_server_they_are_a_step_of_the_run(clearml: ClearML, local: str) -> None:
    (model,) = clearml.steps(local)["train"]["models"]["output"]
    frozen = f"train.weights={model['model']}"
    assert "features" not in clearml.steps(local)
    for rate, steps in (("0.1", {"features", "train", "evaluate"}), ("0.2", {"train", "evaluate"})):
        done = clearml.run("run=local", frozen, f"train.learning_rate={rate}")
        assert done.returncode == 0, done.stdout + done.stderr
        run = clearml.controllers()[0]["id"]
        assert set(clearml.steps(run)) == steps
        graph = json.loads(clearml.task(run)["configuration"]["Pipeline"]["value"])
        assert {"preprocess", "features", "train"} <= graph.keys()
        given = clearml.steps(run)["train"]["hyperparams"]["kwargs"]["features"]["value"]
        assert clearml.task(given)["name"] == "features"
