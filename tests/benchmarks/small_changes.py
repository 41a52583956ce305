"""What a small change costs, against the run from nothing: python tests/benchmarks/small_changes.py

    [--photos FOLDER or ZIP] [--weights FILE] [--trials 20] [--jobs 2]

`--photos` has a folder for each class; the defaults are of ../shared/data. All runs are offline and
share their outputs; seconds by stage, TensorFlow's import left out and shown apart.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import runpy
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
DATA = ROOT.parent / "shared" / "data"
ENTRY = "pipelines/pets_pipeline.py"
STAGES = ("ingest", "preprocess", "features", "train", "evaluate")
WITH_TENSORFLOW = STAGES[2:]


def entry(arguments: list[str]) -> None:
    """Run the entry in this process, telling how long TensorFlow's import takes in each stage."""
    from components.runtime import step

    original, spent = step.step, {}

    @contextlib.contextmanager
    def timed(stage: str, code: str = "") -> Iterator[str]:
        if stage in WITH_TENSORFLOW:
            start = time.perf_counter()
            from components.imaging.framework import keras

            _ = keras.layers
            spent[stage] = time.perf_counter() - start
        with original(stage, code) as given:
            yield given

    step.step = timed
    sys.argv = [ENTRY, *arguments]
    try:
        runpy.run_path(str(ROOT / ENTRY), run_name="__main__")
    finally:
        print(json.dumps(spent))


def run(arguments: list[str]) -> tuple[float, dict[str, float], float]:
    """Wall-clock seconds of a run, those of each stage that ran, and those of the import."""
    outputs = Path(arguments[0].partition("=")[2])
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--entry", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    imports = json.loads(done.stdout.splitlines()[-1])
    folder = max(outputs.glob("20*/*"), key=lambda path: path.stat().st_mtime)
    told = json.loads((folder / "stages.json").read_text())
    stages = {
        one["stage"]: one["seconds"] - imports.get(one["stage"], 0)
        for one in told
        if not one["reused_from"]
    }
    return wall, stages, sum(imports.values())


def line(name: str, wall: float, stages: dict[str, float], imported: float, first: float) -> None:
    """Print a row of the table."""
    cells = [f"{stages[stage]:.1f}" if stage in stages else "" for stage in STAGES]
    net = wall - imported
    print(f"| {' | '.join([name, *cells, f'{imported:.1f}'])} | {net:.1f} | {net / first:.2f}x |")


def unpacked(photos: Path, folder: Path) -> Path:
    """A folder of photos that may be changed."""
    if photos.is_dir():
        subprocess.run(["cp", "-r", str(photos), str(folder / "photos")], check=True)
        return folder / "photos"
    with zipfile.ZipFile(photos) as archive:
        archive.extractall(folder)
    (inside,) = folder.iterdir()
    return inside


def main() -> None:
    """Print the table: each change in a run of its own, then a sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=DATA / "pets180.zip")
    weights = DATA / "weights" / "mobilenetv2_imagenet_notop.weights.h5"
    parser.add_argument("--weights", type=Path, default=weights, help="of MobileNetV2")
    parser.add_argument("--size", type=int, default=160, help="pixels")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as outputs:
        photos = unpacked(chosen.photos, Path(name))
        usual = [
            f"run.outputs={outputs}",
            f"ingest.path={photos}",
            f"preprocess.image_size={chosen.size}",
            "train/model=mobilenetv2",
            f"train.weights={chosen.weights.resolve()}",
            "train.fine_tune_epochs=0",
            "evaluate=quick",
        ]
        aside = Path(name) / "aside.jpg"
        next(iter(sorted(photos.rglob("*.jpg")))).rename(aside)  # until it is added
        titles = ["change", *STAGES, "TensorFlow's import", "whole without it", "of the first"]
        print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")
        wall, stages, imported = run(usual)
        first = wall - imported
        line("first run", wall, stages, imported, first)
        line("`train.learning_rate`", *run([*usual, "train.learning_rate=0.001"]), first)
        label = next(path for path in sorted(photos.iterdir()) if path.is_dir())
        aside.rename(label / "added.jpg")
        line("one photo added", *run(usual), first)
        rates = ",".join(f"{0.0005 * (number + 1):g}" for number in range(chosen.trials))
        command = [sys.executable, ENTRY, "-m", *usual, f"train.learning_rate={rates}"]
        command += ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={chosen.jobs}"]
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        swept = time.perf_counter() - start
        print(f"| {chosen.trials} trials, {chosen.jobs} at a time |{' |' * 6} {swept:.1f}, imports "
              f"included | {swept / wall:.2f}x |")  # fmt: skip
        line("unchanged", *run(usual), first)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--entry"]:
        entry(sys.argv[2:])
    else:
        main()
