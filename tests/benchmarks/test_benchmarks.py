"""The benchmarks run, on little data: what they call has not moved on without them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def printed(script: str, *arguments: str) -> str:
    """What a benchmark prints."""
    done = subprocess.run(
        [sys.executable, f"tests/benchmarks/{script}.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("script", "arguments", "lines"),
    [
        (
            "pipeline",
            (),
            [r"\| unchanged \| [\d.]+ s \|", r"test accuracy 0\.\d+, peak memory \d+"],
        ),
        ("clearml_overhead", (), [r"\| cold \|.+x \|", r"\| cached \|.+x \|"]),
        ("upload", ("--images", "60"), [r"\| 60 images \| [\d.]+ s \| [\d.]+ s \| [\d.]+x \|"]),
        ("evaluation", ("--images", "60", "--side", "32"), [r"evaluation beyond them +[\d.]+ s"]),
        ("ingest_preprocess", ("--data", "none", "--growth", "200"), [r"200 small files"]),
    ],
)
def test_it_prints_its_figures(script: str, arguments: tuple[str], lines: list[str]) -> None:
    output = printed(script, *arguments)
    for line in lines:
        assert re.search(line, output), output


def test_predictions_are_timed(shared_data: Path) -> None:
    sizes = ("--photos", "40", "--many", "100", "--repeat", "1")
    output = printed("predict", "--data", str(shared_data), *sizes)
    assert re.search(r"predict.py's own loop +\d+ images/s +[\d.]+x", output), output


def test_a_change_of_the_frame_runs_no_stage_again() -> None:
    """The goal is at most 40 stages in the 42 commits; following every import it was 117."""
    known = subprocess.run(["git", "cat-file", "-e", "47ff5d3^{commit}"], cwd=ROOT, check=False)
    if known.returncode:
        pytest.skip("needs the git history of the repository")
    output = printed("history")
    assert "42 commits up to 47ff5d3" in output
    assert "| every import | 117 stages | 30 trainings |" in output
    stages, trainings = re.search(r"of today \| (\d+) stages \| (\d+) trainings", output).groups()
    assert 0 < int(stages) <= 40
    assert 0 < int(trainings) <= 12


def test_a_checkout_without_history_gets_one_line(tmp_path: Path) -> None:
    for name in ("components", "pipelines", "tests/benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    command = [sys.executable, "tests/benchmarks/history.py"]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: no git history here for `git rev-list ")
    assert len(done.stderr.splitlines()) == 1
