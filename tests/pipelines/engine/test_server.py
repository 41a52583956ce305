"""Steps on a server that does less than it should."""

from __future__ import annotations

import logging

import pytest
from clearml import Task
from clearml.backend_interface.session import SendError

from pipelines.engine.server import ServerSteps


def test_a_server_that_lists_no_tasks_is_told_and_everything_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: object) -> None:
        raise SendError("tasks.get_all: 404")

    monkeypatch.setattr(Task, "get_tasks", refuse)
    steps = ServerSteps.__new__(ServerSteps)
    steps.project = "a project"
    with caplog.at_level(logging.WARNING):
        assert steps._finished("train") == []
    assert "ignoring earlier steps: the server does not list them" in caplog.text
