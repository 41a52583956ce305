"""What runs left behind is removed only where nobody needs it."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from types import SimpleNamespace

from components.runtime.stores import steps_project
from components.runtime.stores.local_store import LocalStore
from pipelines.dag import PETS
from pipelines.engine.leftovers import of_outputs, of_server


def test_a_download_is_a_file_and_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "photos.zip").write_bytes(b"zip")
    (found,) = of_outputs(PETS, LocalStore(tmp_path))
    assert (found.kind, found.bytes, found.used_by) == ("downloads", 3, "")
    found.remove()
    assert not (tmp_path / "downloads").exists()


def test_a_step_that_a_run_reused_is_in_use_though_its_own_run_is_gone(clearml_conf: Path) -> None:
    os.environ["CLEARML_CONFIG_FILE"] = str(clearml_conf)
    from clearml.backend_api import Session

    def call(service: str, action: str, **data: object) -> dict:
        return Session().send_request(service, action, json=data, method="post").json()["data"]

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
