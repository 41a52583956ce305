"""How long a user waits for the entry: python tests/benchmarks/pipeline.py

Each command runs in a subprocess, from the shell to its last line.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def measure(outputs: str, *arguments: str) -> float:
    """Seconds of one call of the entry."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "pipelines/pets_pipeline.py", f"run.outputs={outputs}", *arguments]
        if "--help" not in arguments
        else [sys.executable, "pipelines/pets_pipeline.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    return time.perf_counter() - began


def main() -> None:
    """Print a table: command, seconds."""
    with tempfile.TemporaryDirectory() as outputs:
        rows = [
            ("--help", measure(outputs, "--help")),
            ("--cfg job", measure(outputs, "--cfg", "job")),
            ("a bad override", measure(outputs, "train.epochs=abc")),
            ("the default run", measure(outputs)),
        ]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # Linux: in KiB
        (folder,) = Path(outputs).glob("20*/*")
        (spent,) = Path(outputs).glob("models/*/seconds.json")
        accuracy = json.loads((folder / "metrics.json").read_text())["accuracy"]
        rows += [
            ("unchanged", measure(outputs)),
            ("run.plan=true", measure(outputs, "run.plan=true", "train.epochs=5")),
        ]
        for name, seconds in rows:
            print(f"| {name} | {seconds:.1f} s |")
        seconds = json.loads(spent.read_text())
        print(f"test accuracy {accuracy:.3f}, peak memory {peak:.0f} MB, training {seconds}")


if __name__ == "__main__":
    main()
