"""`preprocess.parts`: parallel steps that share the work, each cached by itself, then merged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clearml import Dataset, StorageManager

from tests.checkout import Checkout
from tests.e2e.conftest import TINY, ClearML

HALVES = ("run.stages=[ingest,preprocess]", "preprocess.parts=2", "preprocess.images_per_file=30")
MODULE = "components/preprocess/images.py"

# The second of two parts fails until a file is there.
FAILS = """
_process_images = process_images

def process_images(*arguments):
    from clearml import Task

    if Task.current_task().get_parameter("kwargs/part") == "1" and not Path({!r}).exists():
        raise RuntimeError("no luck")
    return _process_images(*arguments)
"""


def processed(clearml: ClearML) -> dict[str, Any]:
    """What `dataset.json` says of the newest processed dataset of the project."""
    newest = Dataset.get(dataset_project=clearml.name, dataset_name="processed images")
    return newest.get_metadata("dataset.json")


def test_a_failed_part_costs_only_itself_and_the_merged_bytes_are_those_of_one_step(
    clearml: ClearML, tmp_path: Path
) -> None:
    module, mended = clearml.checkout.root / MODULE, tmp_path / "mended"
    text = module.read_text()
    module.write_text(text + FAILS.format(str(mended)))
    try:
        failed = clearml.run("run=local", *HALVES, "run.retries.preprocess=0")
        assert failed.returncode == 1, failed.stdout
        assert "error: preprocess_part_1 failed: RuntimeError: no luck" in failed.stderr
        first = clearml.controllers()[0]
        tasks = clearml.tasks(parent=first["id"], name="^preprocess")
        assert {
            task["hyperparams"]["kwargs"]["part"]["value"]: task["status"] for task in tasks
        } == {
            "0": "completed",
            "1": "failed",
        }
        mended.touch()
        again = clearml.run("run=local", *HALVES)
    finally:
        module.write_text(text)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"preprocess part 1 of 2 reused from run {first['id']}" in again.stdout
    assert "preprocess part 2 of 2 runs" in again.stdout
    steps = clearml.steps(clearml.controllers()[0]["id"])
    graph = json.loads(clearml.controllers()[0]["configuration"]["Pipeline"]["value"])
    assert graph["preprocess"]["parents"] == ["preprocess_part"]
    assert graph["preprocess_part"]["queue"] == clearml.queues["steps"]
    assert set(steps) == {"preprocess_part", "preprocess"}
    assert steps["preprocess_part"]["hyperparams"]["kwargs"]["part"]["value"] == "1"
    (artifact,) = steps["preprocess_part"]["execution"]["artifacts"]
    assert not StorageManager.exists_file(artifact["uri"])  # merged, so its space is free again

    offline = Checkout(tmp_path)
    assert offline.run(*TINY, *HALVES).returncode == 0
    (alone,) = (offline.root / "outputs/datasets").glob("processed-*")
    assert alone.name.startswith(f"processed-{processed(clearml)['content'][:12]}-")


@pytest.mark.slow
def test_agents_make_the_parts_and_one_of_them_merges(clearml: ClearML) -> None:
    """16 pixels, so that nothing which another test made can be reused."""
    done = clearml.run("run=queue", *HALVES, "preprocess.image_size=16")
    assert done.returncode == 0, done.stdout + done.stderr
    run = clearml.controllers()[0]["id"]
    assert clearml.finished(run)["status"] == "completed", clearml.console(run)
    made = clearml.tasks(parent=run, name="^preprocess")
    arguments = [task["hyperparams"]["kwargs"] for task in made]
    assert sorted(one["part"]["value"] for one in arguments if "part" in one) == ["0", "1"]
    assert [task["status"] for task in made] == ["completed"] * 3
    assert processed(clearml)["image_size"] == [16, 16]
