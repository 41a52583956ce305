"""Several devices share a batch and train as one would: tested on two virtual CPUs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from components.runtime.schema import BadInput
from components.train.fit import train_classifier
from components.train.phases import global_batch
from tests.train.helpers import PLAIN, settings
from tests.train.test_resume import run_child


def losses(folder: Path) -> list[list[float]]:
    with (folder / "history.csv").open() as file:
        rows = csv.DictReader(file)
        return [[float(row["loss"]), float(row["validation_loss"])] for row in rows]


@pytest.mark.parametrize("start", ["scratch", pytest.param("weights", marks=pytest.mark.slow)])
def test_two_devices_give_the_losses_of_one(
    start: str, dataset: Path, trained: Path, tmp_path: Path
) -> None:
    changes = dict(PLAIN, optimizer="sgd", gradient_clipping=1.0, learning_rate=0.02)
    if start == "weights":
        weights = str(trained / "model.keras")
        changes |= dict(weights=weights, fine_tune_epochs=2, fine_tune_learning_rate=0.01)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    train_classifier(dataset, one, settings(**changes))
    ended = run_child(dataset=dataset, folder=two, settings=changes, devices=2)
    assert ended.returncode == 0, ended.stderr
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-3)
    assert json.loads((two / "model.json").read_text())["epochs"] == len(losses(one))


def test_a_batch_that_cannot_be_shared_is_named() -> None:
    with pytest.raises(BadInput, match=r"train\.batch_size=9: must be a multiple of the 2 GPUs"):
        global_batch(settings(batch_size=9), 100, 2)
    assert global_batch(settings(batch_size=8), 7, 2) == 6
