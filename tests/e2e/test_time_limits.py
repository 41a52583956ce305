"""The time limit of a step, and the containers that the steps are given."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import ClearML

pytestmark = pytest.mark.slow

WORDS = "it took longer than run.time_limits.train=0.1 minutes"


@pytest.fixture(scope="module")
def limited(clearml: ClearML, local: str) -> str:
    """The id of a local run whose training exceeds its limit of 6 s, in containers if it could."""
    done = clearml.run(
        *("run=local", "train.epochs=100000", "run.time_limits.train=0.1", "run.retries.train=3"),
        *("run.images.train=keras:gpu", "run.container_arguments.train='--ipc=host'"),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert WORDS in done.stderr
    return clearml.controllers()[0]["id"]


def test_a_step_over_its_time_limit_is_stopped_and_the_run_says_so(
    clearml: ClearML, limited: str
) -> None:
    run = clearml.task(limited)
    assert run["status"] == "failed"
    assert run["status_message"].endswith(WORDS)
    step = clearml.steps(limited)["train"]
    assert step["status"] == "stopped"  # and not tried again
    assert "Retrying" not in clearml.console(limited)


def test_a_step_has_its_container_on_the_server(clearml: ClearML, limited: str) -> None:
    container = clearml.steps(limited)["train"]["container"]
    assert container["image"] == "keras:gpu"
    assert container["arguments"] == "--ipc=host"
