"""`ingest=clearml_dataset`: a person's own dataset, uploaded with a few lines of the SDK."""

from __future__ import annotations

import re

import pytest

from tests.e2e.conftest import ClearML

SOURCE = ("ingest=clearml_dataset", "run.stages=[ingest]")

UPLOAD = """
import sys
from clearml import Dataset
project, *folders = sys.argv[1:]
dataset = Dataset.create(dataset_project=project, dataset_name="photos")
for folder in folders:
    dataset.add_files(folder)
dataset.upload(show_progress=False)
dataset.finalize()
"""


class Photos:
    """The dataset `photos` of a project."""

    def __init__(self, clearml: ClearML) -> None:
        self.clearml = clearml
        self.name = f"{clearml.name}/own/photos"

    def publish(self, *folders: str) -> None:
        """Upload folders of class folders as the next version."""
        script = ("-c", UPLOAD, f"{self.clearml.name}/own", *folders)
        done = self.clearml.checkout.python(*script, **self.clearml.environment)
        assert done.returncode == 0, done.stdout + done.stderr

    def plan(self, dataset: str) -> str:
        """What a plan says of ingest."""
        done = self.clearml.run("run=local", *SOURCE, f"ingest.dataset={dataset}", "run.plan=true")
        assert done.returncode == 0, done.stdout + done.stderr
        return re.search(r"^ingest +(.+)$", done.stdout, re.MULTILINE)[1]


def test_a_dataset_is_ingested_by_name_whose_newest_version_counts(clearml: ClearML) -> None:
    photos = Photos(clearml)
    photos.publish("data/test")
    run = clearml.run("run=local", *SOURCE, f"ingest.dataset={photos.name}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^(\d+) of \1 images in 2 classes, 0 left out$", run.stdout, re.MULTILINE)
    step = clearml.steps(clearml.controllers()[0]["id"])["ingest"]
    raw = step["hyperparams"]["return"]["raw"]["value"]
    assert f"images of {photos.name} in 2 classes" in clearml.task(raw)["comment"]

    assert photos.plan(photos.name).startswith("reuse: made by run ")
    same = f"{photos.name}/1.0.0"
    assert photos.plan(same) == f"run: ingest.dataset {photos.name} -> {same}"
    photos.publish("data/test", "data/train/cat/000.jpg")
    assert photos.plan(photos.name) == "run: input changed: images of the source"


@pytest.mark.parametrize(
    ("mode", "name"),
    [("local", "nobody/none/1.0.0"), ("queue", "0123456789abcdef" * 2)],
)
def test_an_unknown_dataset_is_one_line(clearml: ClearML, mode: str, name: str) -> None:
    before = len(clearml.controllers())
    done = clearml.run(f"run={mode}", *SOURCE, f"ingest.dataset={name}", "run.unpushed=true")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: ingest.dataset={name}: ")
    assert len(clearml.controllers()) == before
