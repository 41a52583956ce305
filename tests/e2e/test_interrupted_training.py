"""A training that is aborted goes on elsewhere: the machine that had its checkpoint is gone."""

from __future__ import annotations

import re
import shutil

import pytest
from clearml import StorageManager

from tests.e2e.conftest import TINY, ClearML

EPOCHS = 60


def model_of(clearml: ClearML, step: dict) -> dict:
    """The registered model that a step made."""
    (made,) = step["models"]["output"]
    return clearml.api("models.get_by_id", model=made["model"])["model"]


def checkpoints(task: dict) -> list[str]:
    """Where the checkpoints are that a task points to."""
    artifacts = task.get("execution", {}).get("artifacts", [])
    return [one["uri"] for one in artifacts if one["key"] == "checkpoint"]


@pytest.mark.slow
def test_an_aborted_training_goes_on_on_another_machine(clearml: ClearML, local: str) -> None:
    run = ("run=queue", f"train.epochs={EPOCHS}", "run.stages=[ingest,preprocess,train]")
    assert clearml.run(*run).returncode == 0
    first = clearml.controllers()[0]["id"]
    clearml.until(first, lambda _: "train" in clearml.steps(first), 60)
    step = clearml.steps(first)["train"]["id"]
    clearml.until(step, checkpoints, 90)
    clearml.api("tasks.stop", task=step)
    clearml.finished(step, 60)
    clearml.finished(first, 60)
    assert clearml.task(step)["status"] == "stopped"
    for folder in clearml.home.glob("**/checkpoints"):
        shutil.rmtree(folder)

    assert clearml.run(*run).returncode == 0
    second = clearml.controllers()[0]["id"]
    assert clearml.finished(second)["status"] == "completed", clearml.console(second)
    again = clearml.steps(second)["train"]
    console = clearml.console(again["id"])
    assert (after := re.search(r"going on after epoch (\d+)", console)), console
    assert 1 <= int(after[1]) < EPOCHS
    assert not re.search(rf"epoch {after[1]}/", console)

    undisturbed = clearml.checkout.run(*TINY, *run[1:])
    assert undisturbed.returncode == 0, undisturbed.stderr
    content = model_of(clearml, again)["metadata"]["content"]["value"]
    assert f"small_resnet-{content[:12]}" in {
        path.name for path in (clearml.checkout.root / "outputs" / "models").iterdir()
    }
    scalars = clearml.api("events.scalar_metrics_iter_histogram", task=again["id"])
    for title in ("loss", "accuracy", "learning_rate", "seconds", "images_per_second"):
        assert scalars[title]["training"]["x"] == list(range(1, EPOCHS + 1))
    assert not checkpoints(clearml.task(again["id"]))
    for address in checkpoints(clearml.task(step)):  # a task that has ended may keep the name
        assert not StorageManager.exists_file(address)
