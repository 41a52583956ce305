"""What publishing a dataset costs: ours against one Dataset.upload of the same images.

python tests/benchmarks/upload.py [--clearml-conf FILE] [--images 5000]

Ours packs the images into shards, as preprocess does, reports counts and previews, and uploads
only what is not on the server yet. Both sides start from the same files in the page cache. Then one
photo is added: what a child of the raw and of the processed dataset sends to the file server, all
that ClearML keeps of it included, against the first version.
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
from components.imaging.artifact import dataset_artifact
from components.ingest.page import report
from components.preprocess.build import build_dataset
from components.preprocess.page import report as processed_page
from pipelines.dag import PETS
texts = PETS.parameters.defaults(
    "ingest=folder", f"ingest.path={sys.argv[1]}", "preprocess.image_size=32"
)
settings = PETS.parameters.read(texts)
Task.init("upload", "ingest", auto_connect_frameworks=False, auto_connect_arg_parser=False)
store = storage.store()
sizes = lambda: sum(p.stat().st_size for p in Path(sys.argv[2]).rglob("*") if p.is_file())
def publish(*arguments, **more):
    before, began = sizes(), time.perf_counter()
    reference = store.publish(folder, dataset_artifact(folder, *arguments, **more))
    print(time.perf_counter() - began)
    print(sizes() - before)
    return reference
with storage.workspace() as folder:
    build_raw_dataset(settings.ingest, folder, pack=True, earlier=store.with_pieces("raw"))
    raw = publish(None, report=report, pieces="raw")
with storage.workspace() as folder:
    earlier = store.with_pieces("processed")
    build_dataset(store.fetch(raw), folder, settings.preprocess, earlier)
    publish(raw, report=processed_page, pieces="processed")
"""


def draw(folder: Path, count: int, seed: int = 0) -> None:
    """`count` different JPEG files in two classes."""
    random = np.random.default_rng(seed)
    for number in range(count):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, quality=80)


def numbers(code: str, photos: Path, stored: Path, environment: dict[str, str]) -> list[float]:
    """What the code prints: of each upload the seconds and, but for theirs, the bytes."""
    command = [sys.executable, "-c", code, str(photos), str(stored)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    lines = done.stdout.splitlines()
    return [float(line) for line in lines if line.replace(".", "").isdigit()]


def main() -> None:
    """Print a row: theirs, ours, ratio; and for each dataset what one photo more costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clearml-conf", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        conf, stored = arguments.clearml_conf, folder / "unknown"
        if conf is None:
            from tests.clearml_server import ClearMLServer

            conf = folder / "clearml.conf"
            server = stack.enter_context(ClearMLServer())
            server.write_conf(conf)
            stored = server.files_folder
        draw(folder / "photos", arguments.images)
        environment = dict(os.environ) | {
            "CLEARML_CONFIG_FILE": str(conf.resolve()),
            "PYTHONPATH": str(Path(__file__).parent.parent.parent),
        }
        theirs = numbers(THEIRS, folder / "photos", stored, environment)[-1]
        # As every run has them.
        environment |= {"CLEARML_CONFIG_PATH": str(SDK_SETTINGS), "CLEARML_CACHE_DIR": str(folder)}
        first = numbers(OURS, folder / "photos", stored, environment)
        ours = first[0]
        print(
            f"| {arguments.images} images | {theirs:.1f} s | {ours:.1f} s | {ours / theirs:.2f}x |"
        )
        draw(folder / "more", 1, seed=1)
        (folder / "more/cat/0.jpg").rename(folder / "photos/cat/new.jpg")
        later = numbers(OURS, folder / "photos", stored, environment)
        for name, place in (("raw", 0), ("processed", 2)):
            (before, whole), (after, child) = first[place : place + 2], later[place : place + 2]
            print(
                f"| one photo more, {name} | {whole / 1e3:.0f} kB, {before:.1f} s | "
                f"{child / 1e3:.0f} kB, {after:.1f} s | {child / max(whole, 1):.3f}x |"
            )


if __name__ == "__main__":
    main()
