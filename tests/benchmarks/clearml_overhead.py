"""What ClearML adds to four steps: ours, their work taken out, against a bare pipeline.

python tests/benchmarks/clearml_overhead.py [--clearml-conf FILE]

Both run in local mode against the same server (the in-memory one, if none is given), first cold,
then with everything cached. The bare one is a PipelineDecorator pipeline of four empty steps with
the SDK's default settings: what a user would start from.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # for the test server

BARE = """
from clearml import PipelineDecorator

@PipelineDecorator.component(return_values=["raw"], cache=True)
def ingest():
    return "raw"

@PipelineDecorator.component(return_values=["dataset"], cache=True)
def preprocess(raw):
    return "dataset"

@PipelineDecorator.component(return_values=["model"], cache=True)
def train(dataset):
    return "model"

@PipelineDecorator.component(return_values=["evaluation"], cache=True)
def evaluate(model, dataset):
    return "evaluation"

@PipelineDecorator.pipeline(name="bare", project="PROJECT", version="1.0.0")
def bare():
    dataset = preprocess(ingest())
    evaluate(train(dataset), dataset)

if __name__ == "__main__":
    PipelineDecorator.run_locally()
    bare()
"""

# The work of each stage, replaced by copying what a real run made.
STUBS = {
    "components/ingest/audit.py": "def pieces_of(*_):\n    return ''\n"
    "def build_raw_dataset(settings, folder, **_):",
    "components/preprocess/build.py": "def pieces_of(*_):\n    return ''\n"
    "def build_dataset(raw, folder, *_):",
    "components/train/fit.py": "def train_classifier(dataset, folder, settings, *_, **__):",
    "components/evaluate/evaluation.py": "SHOWN = ('metrics.json', 'report.html')\n"
    "def evaluate_model(model, dataset, folder, *_):",
}


def seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Wall time of a command that must succeed."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


def checkout_without_work(folder: Path, environment: dict[str, str]) -> None:
    """A copy of the project whose stages copy what a real run has made."""
    for part in ("components", "pipelines", "conf", "data"):
        shutil.copytree(ROOT / part, folder / part)
    tiny = ["preprocess.image_size=32", "train.epochs=1", "evaluate=quick"]
    seconds([sys.executable, "pipelines/pets_pipeline.py", *tiny], folder, environment)
    made = [
        next((folder / "outputs").glob(pattern))
        for pattern in ("datasets/raw-*", "datasets/processed-*", "models/*", "evaluations/*")
    ]
    for (name, signature), source in zip(STUBS.items(), made, strict=True):
        (source / "sealed.json").unlink()
        body = f"    shutil.copytree({str(source)!r}, folder, dirs_exist_ok=True)\n"
        (folder / name).write_text(f"import shutil\n\n\n{signature}\n{body}")
    for arguments in (["init", "-q"], ["add", "-f", "components", "pipelines", "conf", "data"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    commit = ["-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-q", "-m", "x"]
    subprocess.run(["git", *commit], cwd=folder, check=True)
    subprocess.run(["git", "remote", "add", "origin", str(folder)], cwd=folder, check=True)


def main() -> None:
    """Print a table: cold and cached seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clearml-conf", type=Path)
    conf = parser.parse_args().clearml_conf
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if conf is None:
            from tests.clearml_server import ClearMLServer

            conf = folder / "clearml.conf"
            stack.enter_context(ClearMLServer()).write_conf(conf)
        environment = dict(os.environ) | {"CLEARML_CONFIG_FILE": str(conf.resolve())}
        ours, bare = folder / "ours", folder / "bare"
        ours.mkdir()
        bare.mkdir()
        checkout_without_work(ours, environment | {"PYTHONPATH": str(ours)})
        project = f"overhead-{uuid.uuid4().hex[:8]}"
        (bare / "bare.py").write_text(BARE.replace("PROJECT", project))
        entry = [
            sys.executable,
            "pipelines/pets_pipeline.py",
            "run=local",
            f"run.project={project}",
        ]
        for state in ("cold", "cached"):
            theirs = seconds([sys.executable, "bare.py"], bare, environment)
            mine = seconds(entry, ours, environment | {"PYTHONPATH": str(ours)})
            print(f"| {state} | {theirs:.1f} s | {mine:.1f} s | {mine / theirs:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
