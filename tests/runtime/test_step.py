"""A step runs what it was planned with, or says so."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import clearml
import pytest

from components.runtime import environment, source, step
from components.runtime.schema import BadInput
from pipelines.engine.fingerprint import Dependencies
from pipelines.engine.server import ServerSteps


class Task:
    """What a step's task keeps of its dependencies, and what its record is read from."""

    def __init__(self, planned: dict[str, Any]) -> None:
        self.id, self.parent, self.data = "1", "2", SimpleNamespace(completed="now")
        self.text = json.dumps(planned)

    def get_configuration_object(self, name: str) -> str:
        assert name == step.DEPENDENCIES
        return self.text

    def set_configuration_object(self, name: str, config_text: str) -> None:
        assert name == step.DEPENDENCIES
        self.text = config_text

    def get_parameters(self) -> dict[str, str]:
        return {"return/model": "models/a"}


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A step of three files, one of them of the frame, planned as everything is here."""
    monkeypatch.setattr(source, "ROOT", tmp_path)
    for name in ("work.py", "page.jinja", "frame.py"):
        (tmp_path / name).write_text("a = 1\n")
    hashes = {name: source.source_hash(name) for name in ("work.py", "page.jinja")}
    names = ("numpy", "tensorflow", environment.FORMAT_NAME)
    source._read.cache_clear()
    return {
        "stage": "train",
        "parameters": {},
        "inputs": {},
        "source": hashes,
        "packages": {name: environment.version(name) for name in names},
        "environment": environment.settings(),
        "frame": {"frame.py": source.source_hash("frame.py")},
        "python": "3.9.0",  # which is no reason to refuse
    }


def test_a_step_as_planned_changes_nothing(planned: dict[str, Any]) -> None:
    task = Task(planned)
    step._check(task, "train")
    assert json.loads(task.text) == planned
    step._check(Task({}), "train")  # a task that no pipeline made


@pytest.mark.parametrize("name", ["work.py", "page.jinja", "frame.py"])
@pytest.mark.parametrize("text", ["a = 2\n", None])
def test_other_code_is_refused(
    name: str, text: str | None, planned: dict[str, Any], tmp_path: Path
) -> None:
    source._read.cache_clear()
    path = tmp_path / name
    path.write_text(text) if text else path.unlink()
    with pytest.raises(BadInput, match=rf"planned with \({name} differs\); push the commit"):
        step._check(Task(planned), "train")


def test_a_comment_is_no_other_code(planned: dict[str, Any], tmp_path: Path) -> None:
    source._read.cache_clear()
    (tmp_path / "frame.py").write_text('"""New words."""\n\na  =  1  # one')
    step._check(Task(planned), "train")


def test_the_planned_settings_hold_for_what_computes(
    planned: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(step.sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    planned["environment"] = {"TF_ENABLE_ONEDNN_OPTS": "0"}
    step._check(Task(planned), "train")
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    del planned["packages"]["tensorflow"]
    step._check(Task(planned), "train")
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"


def test_the_output_of_other_packages_is_never_reused_as_that_of_the_planned_ones(
    planned: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = planned["packages"]["numpy"]
    wanted = Dependencies.of(planned | {"packages": planned["packages"] | {"numpy": "1.0"}})
    called = {"packages": wanted.packages, "arguments": {}}
    other, good = Task(planned | called), Task(planned | called)
    with caplog.at_level(logging.WARNING):
        step._check(other, "train")
    assert f"train: not the planned packages (numpy {here} for 1.0)" in caplog.text

    found = [other]
    monkeypatch.setattr(clearml.Task, "get_tasks", lambda **_: found)
    steps = ServerSteps.__new__(ServerSteps)
    steps.project = "a project"
    steps.store = SimpleNamespace(is_intact=lambda reference: True)
    assert steps.find(wanted) is None
    assert steps.find(Dependencies.of(planned)).reference == "models/a"  # what it really is
    found.append(good)
    assert steps.find(wanted).dependencies == wanted
    assert Dependencies.of(planned).changes(wanted) == [f"numpy 1.0 -> {here}"]
