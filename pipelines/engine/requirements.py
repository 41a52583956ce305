"""Write what an agent installs for each step: the packages that it imports, as locked.

`make lock` runs this after the lock itself; a test fails when a file is out of date.
"""

from __future__ import annotations

import re
from pathlib import Path

from components.runtime.source import ROOT
from pipelines.engine.fingerprint import packages_of, step_files

LOCK = ROOT / "requirements.lock"
CONTROLLER = {
    "clearml",
    "filelock",
    "hydra-core",
    "omegaconf",
    "numpy",
    "packaging",
    "pillow",
    "tqdm",
}


def locked(names: set[str]) -> str:
    """The lines of the lock for these distributions."""
    lines = LOCK.read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if re.split("[=<>]=", line)[0] in names)


def files() -> dict[Path, str]:
    """Every requirements.txt with the content that it should have."""
    wanted = {ROOT / "pipelines" / "engine" / "requirements.txt": locked(CONTROLLER)}
    for stage in sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py")):
        wanted[ROOT / "components" / stage / "requirements.txt"] = locked(
            packages_of(step_files(stage))
        )
    return wanted


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content)
