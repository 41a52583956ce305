"""Turns on a server: told by tasks as runs and agents leave them."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from typing import Any

import pytest
from clearml import Task

from pipelines.engine import single_flight
from pipelines.engine.fingerprint import Dependencies
from tests.e2e.conftest import ClearML

WANTED = Dependencies("train", {"epochs": "1"}, {"dataset": "d"}, {}, {})
POLL = 0.1


class Project:
    """A project of its own, with controllers and steps that nobody runs."""

    def __init__(self, clearml: ClearML) -> None:
        self.api = clearml.api
        self.id = self.api("projects.create", name=f"turns-{uuid.uuid4().hex[:8]}")["id"]

    def task(self, name: str, kind: str, **arguments: str) -> str:
        """A running task with these arguments of a step."""
        items = {
            key: {"section": "kwargs", "name": key, "value": text}
            for key, text in arguments.items()
        }
        made = self.api(
            "tasks.create", name=name, project=self.id, type=kind, hyperparams={"kwargs": items}
        )["id"]
        self.api("tasks.started", task=made)
        return made

    def step(self, **edited: str) -> str:
        arguments = {"fingerprint": WANTED.fingerprint, "epochs": "1", "dataset": "d"}
        return self.task("train", "training", **arguments | edited)

    def seconds_until_turn(self) -> float:
        controller = Task.get_task(task_id=self.task("pets", "controller"))
        began = time.monotonic()
        with single_flight.announced(controller, WANTED, POLL):
            return time.monotonic() - began


@pytest.fixture
def project(clearml: ClearML) -> Project:
    return Project(clearml)


def test_a_step_that_runs_is_waited_for(project: Project) -> None:
    step = project.step()
    threading.Timer(2, lambda: project.api("tasks.completed", task=step)).start()
    assert 1.5 < project.seconds_until_turn() < 10


def test_what_does_not_compute_the_same_is_not_waited_for(project: Project) -> None:
    project.step(epochs="2")  # an edited clone keeps the fingerprint
    project.step(fingerprint="0" * 32)
    failed = project.step()
    project.api("tasks.failed", task=failed)
    queue = project.api("queues.create", name=f"idle-{uuid.uuid4().hex[:8]}")["id"]
    queued = project.api("tasks.clone", task=failed, new_task_name="train")["id"]
    project.api("tasks.enqueue", task=queued, queue=queue)  # which no worker serves
    assert project.seconds_until_turn() < 10


def test_a_step_without_a_sign_of_life_is_given_up(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(single_flight, "SILENT_SECONDS", 2)
    step = project.step()
    with caplog.at_level("INFO"):
        assert 1 < project.seconds_until_turn() < 10
    assert f"does not wait for {step}: no sign of life" in caplog.text


def test_runs_that_start_together_go_one_after_the_other(project: Project) -> None:
    spans: list[tuple[float, float]] = []

    def run(controller: Task) -> None:
        with single_flight.announced(controller, WANTED, POLL):
            began = time.monotonic()
            time.sleep(0.5)
            spans.append((began, time.monotonic()))

    controllers: list[Any] = [
        Task.get_task(task_id=project.task("pets", "controller")) for _ in range(3)
    ]
    threads = [threading.Thread(target=run, args=(one,)) for one in controllers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    spans.sort()
    assert len(spans) == 3
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_the_announcement_of_the_run_that_a_clone_was_made_from_does_not_count(
    project: Project,
) -> None:
    first = project.task("pets", "controller")
    Task.get_task(task_id=first).set_user_properties(
        **{single_flight.PROPERTY: str(single_flight.Announcement(WANTED.fingerprint, "0", first))}
    )
    clone = project.api("tasks.clone", task=first, new_task_name="pets")["id"]
    project.api("tasks.started", task=clone)
    project.api("tasks.completed", task=first)
    assert project.seconds_until_turn() < 10
