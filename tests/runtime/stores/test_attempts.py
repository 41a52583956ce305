"""Checkpoints that outlive their machine, and curves without a point twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from components.runtime.stores.attempts import ABANDONED_DAYS
from components.runtime.stores.local_store import LocalStore
from tests.clearml_server import ClearMLServer
from tests.conftest import ROOT

ATTEMPT = """
import json, logging, os, sys, time
from pathlib import Path
import numpy as np
from clearml import Task

logging.basicConfig(level=logging.INFO, format="%(message)s")
again = {"continue_last_task": 0, "reuse_last_task_id": sys.argv[2]} if sys.argv[2:] else {}
task = Task.init(
    "pets", "train", auto_connect_frameworks=False, auto_resource_monitoring=False, **again
)
task.set_parameter("kwargs/fingerprint", "f")

from components.runtime.stores.server_store import ServerStore
from components.train.checkpoints import Checkpoint, Checkpoints, Position, complete_epochs

store = ServerStore()

def train(attempt, first, last):
    kept = Checkpoints(attempt.folder, "a training")
    for epoch in range(1, last + 1):
        if epoch >= first:
            history = [{"epoch": e} for e in range(1, epoch + 1)]
            kept.save(lambda: Checkpoint(Position(history=history), [np.ones(epoch)], []))
        store.report_epoch(epoch, {"loss": 1 / epoch})
        attempt.saved()

def files():
    return sorted(p.name for p in Path(sys.argv[1]).rglob("*.npz"))
"""


@pytest.fixture
def attempt(tmp_path: Path):
    """Runs an attempt on a machine of its own; arguments are the machine and the code."""
    with ClearMLServer() as server:
        conf = server.write_conf(tmp_path / "clearml.conf")

        def run(machine: str, code: str, task: str = "") -> subprocess.CompletedProcess[str]:
            home = tmp_path / machine
            home.mkdir(exist_ok=True)
            environment = {
                "CLEARML_CONFIG_FILE": str(conf),
                "CLEARML_CACHE_DIR": str(home / "cache"),
                "CLEARML_CONFIG_PATH": str(ROOT / "pipelines/engine/clearml"),
                "PYTHONPATH": str(ROOT),
            }
            return subprocess.run(
                [sys.executable, "-c", ATTEMPT + textwrap.dedent(code), server._folder]
                + [task] * bool(task),
                env=os.environ | environment,
                cwd=home,
                capture_output=True,
                text=True,
                timeout=120,
            )

        yield run


def test_checkpoints_that_nobody_goes_on_with_do_not_fill_the_disk(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for key, days in (("mine", 2 * ABANDONED_DAYS), ("old", ABANDONED_DAYS + 1), ("new", 1)):
        file = store.attempt(key, len).file
        file.parent.mkdir(parents=True)
        file.write_bytes(b"values")
        then = time.time() - days * 86400
        os.utime(file, (then, then))
    with store.attempt("mine", len):
        assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"mine", "new"}


def test_the_last_epoch_survives_the_loss_of_its_machine(attempt) -> None:
    first = attempt(
        "first",
        """
        with store.attempt("key", complete_epochs) as one:
            train(one, 1, 4)
            print("task", task.id, flush=True)
            os.kill(os.getpid(), 15)
            time.sleep(30)
        """,
    )
    assert first.returncode == -signal.SIGTERM, first.stdout + first.stderr

    other = attempt(
        "other",
        """
        with store.attempt("another key", complete_epochs) as one:
            assert not one.file.exists()
        with store.attempt("key", complete_epochs) as one:
            assert complete_epochs(one.file) == 4
            train(one, 5, 6)
            one.succeeded()
        assert not one.folder.exists()
        assert files() == [], files()
        task.flush(wait_for_uploads=True)
        time.sleep(2)
        assert task.get_reported_scalars()["loss"]["training"]["x"] == [1, 2, 3, 4, 5, 6]
        """,
    )
    assert other.returncode == 0, other.stdout + other.stderr
    assert "the checkpoint after epoch 4 is that of task" in other.stderr

    same = attempt(
        "third",
        """
        with store.attempt("key", complete_epochs) as one:
            assert not one.file.exists()
            train(one, 1, 6)
        task.flush(wait_for_uploads=True)
        time.sleep(2)
        assert task.get_reported_scalars()["loss"]["training"]["x"] == [1, 2, 3, 4, 5, 6]
        """,
        task=first.stdout.split("task ")[1].split()[0],
    )
    assert same.returncode == 0, same.stdout + same.stderr
