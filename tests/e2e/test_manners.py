"""How the commands end: by a signal, by a reader that has seen enough, without their packages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.checkout import ENTRY, Checkout

COMMANDS = ["pets_pipeline", "predict", "export", "champion", "optimize", "outputs",
            "retrain_on_new_data"]  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("manners"))


def started(checkout: Checkout, *arguments: str) -> subprocess.Popen[str]:
    """A command whose output we read, in a group of processes of its own."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=checkout.root,
        env=os.environ | {"PYTHONPATH": str(checkout.root), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGTERM, 143, "terminated\n"), (signal.SIGINT, 130, "interrupted\n")],
)
def test_a_signal_ends_an_offline_run_and_keeps_its_checkpoint(
    checkout: Checkout, number: int, code: int, told: str
) -> None:
    run = started(checkout, ENTRY, "preprocess.image_size=32", "train.epochs=100000")
    while not run.stdout.readline().startswith("epoch 3"):
        assert run.poll() is None
    began = time.monotonic()
    run.send_signal(number)
    _, errors = run.communicate(timeout=30)
    assert time.monotonic() - began < 5  # a second or two on a machine that is not busy
    assert (run.returncode, errors) == (code, told)
    assert list(checkout.root.glob("outputs/checkpoints/*/*"))
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_pipe_is_silence(checkout: Checkout, name: str) -> None:
    told = started(checkout, f"pipelines/{name}.py", "--help")
    told.stdout.close()
    assert told.stderr.read() == ""
    assert told.wait() == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_package_is_told_with_the_remedy(checkout: Checkout, name: str) -> None:
    script = checkout.root / "pipelines" / f"{name}.py"
    done = subprocess.run([sys.executable, "-I", "-S", script], capture_output=True, text=True)
    remedy = "run make install, then source .venv/bin/activate"
    assert done.returncode == 2
    assert done.stderr == f"error: hydra is not installed here; {remedy}\n"


def test_one_command_has_the_others_as_verbs(checkout: Checkout) -> None:
    trains = checkout.python("-m", "pipelines", "run.plan=true")
    assert trains.stdout.startswith("ingest "), trains.stderr
    predicts = checkout.python("-m", "pipelines", "predict", "images=")
    assert predicts.stderr.startswith("error: images=: names none")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, ENTRY, "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "error: run.outputs: the disk is full; free space and run again\n"
