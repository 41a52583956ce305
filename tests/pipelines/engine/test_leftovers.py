"""What runs left behind is removed only where nobody needs it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.runtime.stores import steps_project
from components.runtime.stores.local_store import LocalStore
from pipelines import outputs
from pipelines.dag import PETS
from pipelines.engine.leftovers import of_outputs, of_server


def test_a_download_is_a_file_and_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "photos.zip").write_bytes(b"zip")
    (found,) = of_outputs(PETS, LocalStore(tmp_path))
    assert (found.kind, found.bytes, found.used_by) == ("downloads", 3, "")
    found.remove()
    assert not (tmp_path / "downloads").exists()


@pytest.fixture
def call(clearml_conf: Path) -> Callable[..., dict]:
    """Calls the API of the server: (service, action, arguments)."""
    os.environ["CLEARML_CONFIG_FILE"] = str(clearml_conf)
    from clearml.backend_api import Session

    def call(service: str, action: str, **data: object) -> dict:
        return Session().send_request(service, action, json=data, method="post").json()["data"]

    return call


def test_a_step_that_a_run_reused_is_in_use_though_its_own_run_is_gone(
    call: Callable[..., dict],
) -> None:
    name = f"leftovers-{uuid.uuid4().hex[:8]}"
    inside = call("projects", "create", name=steps_project(name), system_tags=["hidden"])["id"]
    steps = [
        call("tasks", "create", name="train", type="training", project=inside)["id"]
        for _ in range(2)
    ]
    graph = {"name": "Pipeline", "value": f'{{"train": {{"executed": "{steps[0]}"}}}}'}
    run = call(
        *("tasks", "create"), name="pets", type="controller", project=inside,
        configuration={"Pipeline": graph},
    )["id"]  # fmt: skip
    nobody = SimpleNamespace(current=lambda: None)
    found = {one.name.split()[1]: one.used_by for one in of_server(PETS, name, nobody)}
    assert found == {steps[0]: f"run {run}", steps[1]: ""}


def test_a_dataset_goes_only_with_or_after_all_versions_that_follow_it(
    call: Callable[..., dict],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"leftovers-{uuid.uuid4().hex[:8]}"
    call("projects", "create", name=steps_project(name), system_tags=["hidden"])
    inside = call(
        *("projects", "create"), name=f"{name}/.datasets/raw", system_tags=["hidden", "dataset"]
    )["id"]
    versions: list[str] = []
    for parents in ([], [0], [1], []):
        struct = {
            str(number): {"job_id": id, "parents": []}
            for number, id in enumerate([*versions[:2], "itself"] if parents else ["itself"])
        }
        made = call(
            *("tasks", "create"), name="raw", type="data_processing", project=inside,
            tags=["content:0"], system_tags=["dataset"], runtime={"version": "1.0.0"},
            configuration={"Dataset Struct": {"name": "x", "value": json.dumps(struct)}},
        )["id"]  # fmt: skip
        call("tasks", "started", task=made)
        call("tasks", "completed", task=made)
        versions.append(made)
    first, second, third, apart = versions
    nobody = SimpleNamespace(current=lambda: None)
    follow = {one.name.split()[1]: one.before for one in of_server(PETS, name, nobody)}
    assert follow == {
        first: (f"raw {third}", f"raw {second}"),
        second: (f"raw {third}",),
        third: (),
        apart: (),
    }
    store = SimpleNamespace(champions=nobody)
    monkeypatch.setattr(outputs, "open_store", lambda run: store)
    run = SimpleNamespace(mode="local", project=name)
    chosen = SimpleNamespace(run=run, remove=["datasets"], older_than=0.0, dry_run=True)
    outputs.work(chosen)
    gone = [line.split()[3] for line in capsys.readouterr().out.splitlines() if "would" in line]
    assert gone == [apart, third, second, first]  # the last first
    call("tasks", "publish", task=third)  # which is in use then
    outputs.work(chosen)
    told = capsys.readouterr().out
    assert f"would remove: raw {apart}" in told
    assert f"stays: raw {first}, used by raw {third}" in told
    assert f"stays: raw {second}, used by raw {third}" in told
