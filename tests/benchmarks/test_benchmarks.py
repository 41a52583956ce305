"""The benchmarks run, on little data: what they call has not moved on without them."""

from __future__ import annotations

import re
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
