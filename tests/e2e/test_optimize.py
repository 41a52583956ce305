"""The optimizer over a queue, with a real agent."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import ClearML

RATES = "train.learning_rate log 1e-4 1e-2"


def optimize(clearml: ClearML, *arguments: str) -> subprocess.CompletedProcess[str]:
    optuna = pytest.importorskip("optuna")
    installed = Path(optuna.__file__).parents[1]
    mine = [f"run.project={clearml.name}", f"run.queues.train={clearml.queues['steps']}"]
    return clearml.checkout.python(
        "pipelines/optimize.py",
        *mine,
        *arguments,
        **clearml.environment | {"PYTHONPATH": f"{clearml.checkout.root}:{installed}"},
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run.queues.train=none",), "run.queues.train=none: no such queue"),
        (("base=0123456789abcdef",), "base=0123456789abcdef: no task of that id"),
        (("run.project=nothing-here",), "base=latest: project nothing-here has no finished train"),
        (("run=local",), "run=local: the trials need a queue"),
        (("space=[train.dropout uniform 0 7]",), "space: train.dropout=7: expected a number"),
    ],
)
def test_bad_input_is_one_line(clearml: ClearML, arguments: tuple[str], words: str) -> None:
    done = optimize(clearml, *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


@pytest.mark.slow
def test_the_best_of_several_trials_is_found(clearml: ClearML, local: str) -> None:
    choices = f"[{RATES}, train.optimizer choice adam sgd]"
    base = clearml.steps(local)["train"]
    done = optimize(clearml, f"base={base['id']}", f"space={choices}", "trials=2", "concurrent=2")
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = clearml.checkout.root.glob("outputs/optimize/*/*/leaderboard.csv")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["completed", "completed"]
    reached = [float(row["validation accuracy"]) for row in rows]
    assert reached == sorted(reached, reverse=True)
    base = base["hyperparams"]["kwargs"]
    for row in rows:
        task = clearml.task(row["where"].partition("/tasks/")[2].partition("/")[0])
        given = task["hyperparams"]["kwargs"]
        assert given["learning_rate"]["value"] == row["train.learning_rate"]
        assert 1e-4 <= float(row["train.learning_rate"]) <= 1e-2
        assert given["optimizer"]["value"] in ("adam", "sgd")
        assert given["dataset"]["value"] == base["dataset"]["value"]
        assert "epoch 1/1" in clearml.console(task["id"])  # no trial went on from another
    assert len({row["train.learning_rate"] for row in rows}) == 2
    page = re.search(r"leaderboard: http\S+/tasks/([0-9a-f]+)/", done.stdout)[1]
    assert clearml.task(page)["type"] == "optimizer"
    assert "leaderboard/trials" in clearml.metrics(page)

    # The command that it ends with is one of the pipeline, for the same dataset.
    told = re.search(r"to train with the best: python (.*)", done.stdout)[1]
    entry, *arguments = shlex.split(told)
    queues = [f"run.queues.{name}={clearml.queues['steps']}" for name in ("train", "evaluate")]
    planned = clearml.checkout.python(
        entry, *arguments, *queues, "run.plan=true", **clearml.environment
    )
    assert planned.returncode == 0, planned.stderr
    assert f"train.learning_rate={rows[0]['train.learning_rate']}" in arguments
    assert "train      run:" in planned.stdout
