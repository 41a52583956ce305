"""Sweeps: each trial is a run of its own, shares what is unchanged, and can fail alone."""

from __future__ import annotations

import json
from pathlib import Path

from tests.checkout import Checkout
from tests.e2e.conftest import TINY


def test_more_trials_than_workers_of_which_one_fails(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    parallel = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    done = checkout.run("-m", *TINY, "train.learning_rate=1e-3,1e-2,-1", *parallel)
    assert done.returncode == 0, done.stderr
    assert "error: train.learning_rate=-1: expected a number > 0" in done.stderr
    (sweep,) = (checkout.root / "outputs/sweeps").glob("*/*")
    accuracies = {
        path.parent.name: json.loads(path.read_text())["accuracy"]
        for path in sweep.glob("*/metrics.json")
    }
    assert set(accuracies) == {"0", "1"}
    for trial, rate in (("0", "0.001"), ("1", "0.01")):
        assert f"learning_rate: {rate}" in (sweep / trial / "config.yaml").read_text()

    again = checkout.run("-m", *TINY, "train.learning_rate=1e-3,1e-2")  # one after the other
    assert again.returncode == 0, again.stderr
    assert again.stdout.count(" reused from run ") == 8
