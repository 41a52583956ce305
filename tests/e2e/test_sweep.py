"""Sweeps: each trial is a run of its own, shares what is unchanged, and can fail alone."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.checkout import ENTRY, Checkout
from tests.e2e.conftest import TINY, ClearML


def leaderboard(root: Path) -> list[dict[str, str]]:
    """The rows of the newest sweep's leaderboard."""
    newest = max((root / "outputs/sweeps").glob("*/*/leaderboard.csv"))
    with newest.open(newline="") as file:
        return list(csv.DictReader(file))


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

    # What the trials share was computed once, though they started together.
    for stage, times in (("ingest", 1), ("preprocess", 1), ("train", 2), ("evaluate", 2)):
        assert len(re.findall(rf"\] {stage} +runs:", done.stdout)) == times

    rows = leaderboard(checkout.root)
    assert (sweep / "leaderboard.png").read_bytes().startswith(b"\x89PNG")
    assert [row["status"] for row in rows] == ["completed", "completed", "failed"]
    assert rows[2]["reason"] == "train.learning_rate=-1: expected a number > 0"
    for row in rows[:2]:
        assert float(row["test accuracy"]) == accuracies[row["trial"]]
        assert float(row["test low"]) <= float(row["test accuracy"]) <= float(row["test high"])
        assert row["train.learning_rate"] == {"0": "0.001", "1": "0.01"}[row["trial"]]
        assert row["where"].endswith(f"/{row['trial']}")
    assert float(rows[0]["validation accuracy"]) >= float(rows[1]["validation accuracy"])
    assert "trial  train.learning_rate  validation accuracy  test accuracy" in done.stdout

    again = checkout.run("-m", *TINY, "train.learning_rate=1e-3,1e-2")  # one after the other
    assert again.returncode == 0, again.stderr
    assert again.stdout.count(" reused from run ") == 8


def test_a_sweep_of_which_nothing_succeeds_ends_with_an_error(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    done = checkout.run("-m", "train.epochs=0,-1")
    assert done.returncode == 2
    assert [row["status"] for row in leaderboard(checkout.root)] == ["failed", "failed"]


def test_what_would_refuse_every_trial_is_told_once(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    done = checkout.run("-m", "train.epochs=0", "train.learning_rate=1e-3,1e-2")
    assert done.returncode == 2
    assert done.stderr == "error: train.epochs=0: expected an integer >= 1\n"
    assert not (checkout.root / "outputs").exists()


def test_ctrl_c_ends_the_trials(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    sweep = subprocess.Popen(
        [sys.executable, ENTRY, "-m", *TINY, "train.epochs=10000,20000"],
        cwd=checkout.root,
        env=os.environ | {"PYTHONPATH": str(checkout.root)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while "ingest" not in sweep.stdout.readline():
        assert sweep.poll() is None
    (record,) = checkout.root.glob("outputs/sweeps/*/*/0/trial.json")
    trial = json.loads(record.read_text())["process"]
    assert os.getpgid(trial) == trial
    os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does
    told, _ = sweep.communicate(timeout=30)
    assert sweep.returncode == 128 + signal.SIGINT
    assert "interrupted" in told
    assert len(leaderboard(checkout.root)) == 1  # no second trial was started
    time.sleep(0.2)
    try:
        os.killpg(trial, 0)
    except ProcessLookupError:
        return
    raise AssertionError("the trial still runs")


def test_sweeps_on_a_server_end_with_a_task_that_compares(clearml: ClearML, local: str) -> None:
    """With trials that reuse what the run of the fixture made."""
    root = clearml.checkout.root
    for mode in ("local", "queue"):
        done = clearml.run(f"run={mode}", "train.learning_rate=0.003,-1", "-m")
        assert done.returncode == 0, done.stdout + done.stderr
        good, bad = leaderboard(root)
        assert (good["status"], bad["status"]) == ("completed", "failed")
        assert bad["reason"] == "train.learning_rate=-1: expected a number > 0"
        controller = good["where"].rpartition("/experiments/")[2]
        assert clearml.steps(controller) == {}
        (value,) = [
            variant["value"]
            for metric in clearml.task(controller)["last_metrics"].values()
            for variant in metric.values()
            if variant["variant"] == "test accuracy"
        ]
        assert float(good["test accuracy"]) == value
        sweep = re.search(r"leaderboard: http\S+/tasks/([0-9a-f]+)/", done.stdout)[1]
        task = clearml.task(sweep)
        assert (task["name"], task["status"]) == ("sweep", "completed")
        assert clearml.metrics(sweep) == {"leaderboard/trials"}
        assert clearml.pictures(sweep) == {"leaderboard/accuracy"}
        assert [artifact["key"] for artifact in task["execution"]["artifacts"]] == [
            "leaderboard.csv"
        ]


def test_a_sweep_whose_queues_are_wrong_is_refused_at_once(clearml: ClearML) -> None:
    before = len(clearml.controllers())
    done = clearml.run("run=queue", "run.queues.train=none", "train.epochs=1,2", "-m")
    assert done.returncode == 2
    assert done.stderr.startswith("error: run.queues.train=none: no such queue")
    assert len(done.stderr.splitlines()) == 1
    assert len(clearml.controllers()) == before


def test_every_way_in_which_a_trial_on_a_queue_can_end_is_told(clearml: ClearML) -> None:
    from pipelines.sweeps.trials_server import outcomes

    project = clearml.api("projects.create", name=f"ends-{clearml.name}")["id"]

    def trial(*calls: str) -> str:
        made = clearml.api("tasks.create", name="pets", project=project, type="controller")["id"]
        for call in calls:
            told = {"status_message": "no photos"} if call == "failed" else {}
            clearml.api(f"tasks.{call}", task=made, **told)
        return made

    failed, aborted = trial("started", "failed"), trial("started", "stopped")
    running, dequeued, deleted = trial("started"), trial(), trial()
    clearml.api("tasks.delete", task=deleted)
    found = outcomes([failed, aborted, running, dequeued, deleted])
    assert [one.status for one in found.values()] == [
        *("failed", "aborted", "in_progress", "dequeued", "deleted")
    ]
    assert [one.ended for one in found.values()] == [True, True, False, True, True]
    assert found[failed].reason == "no photos"
    assert f"/tasks/{failed}/" in found[failed].page
