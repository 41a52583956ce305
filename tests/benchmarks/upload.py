"""What publishing a dataset costs: ours against one Dataset.upload of the same images.

python tests/benchmarks/upload.py [--clearml-conf FILE] [--images 5000]

Ours packs the images into shards, as preprocess does, reports counts and previews, and uploads
only what is not on the server yet. Both sides start from the same files in the page cache.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for the test server, too
from pipelines.engine.command import SDK_SETTINGS

SIDE = 64  # pixels

THEIRS = """
import sys, time
from clearml import Dataset
began = time.perf_counter()
dataset = Dataset.create(dataset_name="bare images", dataset_project="upload")
dataset.add_files(sys.argv[1])
dataset.upload(show_progress=False)
dataset.finalize()
print(time.perf_counter() - began)
"""

OURS = """
import sys, time
from pathlib import Path
from clearml import Task
from components.runtime import storage
from components.ingest.audit import build_raw_dataset
from components.ingest.parameters import Ingest
from components.imaging.artifact import dataset_artifact
from components.ingest.page import report
from pipelines.dag import PETS
texts = PETS.parameters.defaults("ingest=folder", f"ingest.path={sys.argv[1]}")
settings = PETS.parameters.read(texts).ingest
Task.init("upload", "ingest", auto_connect_frameworks=False, auto_connect_arg_parser=False)
with storage.workspace() as folder:
    build_raw_dataset(settings, folder, pack=True)
    began = time.perf_counter()
    storage.store().publish(folder, dataset_artifact(folder, None, report=report))
    print(time.perf_counter() - began)
"""


def draw(folder: Path, count: int) -> None:
    """`count` different JPEG files in two classes."""
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, quality=80)


def seconds(code: str, photos: Path, environment: dict[str, str]) -> float:
    """What the code prints last: the seconds that the upload took."""
    command = [sys.executable, "-c", code, str(photos)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    lines = [line for line in done.stdout.splitlines() if line.replace(".", "").isdigit()]
    return float(lines[-1])


def main() -> None:
    """Print a row: theirs, ours, ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clearml-conf", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        conf = arguments.clearml_conf
        if conf is None:
            from tests.clearml_server import ClearMLServer

            conf = folder / "clearml.conf"
            stack.enter_context(ClearMLServer()).write_conf(conf)
        draw(folder / "photos", arguments.images)
        environment = dict(os.environ) | {
            "CLEARML_CONFIG_FILE": str(conf.resolve()),
            "PYTHONPATH": str(Path(__file__).parent.parent.parent),
        }
        theirs = seconds(THEIRS, folder / "photos", environment)
        settings = {"CLEARML_CONFIG_PATH": str(SDK_SETTINGS)}  # as every run has them
        ours = seconds(OURS, folder / "photos", environment | settings)
        print(
            f"| {arguments.images} images | {theirs:.1f} s | {ours:.1f} s | {ours / theirs:.2f}x |"
        )


if __name__ == "__main__":
    main()
