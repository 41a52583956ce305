"""Running the project as a user does: from a copy of the checkout, in a subprocess."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ("components", "pipelines", "conf", "data")
ENTRY = "pipelines/pets_pipeline.py"


class Checkout:
    """A copy of what the pipeline needs, below a path with a space in it."""

    def __init__(self, parent: Path) -> None:
        self.root = parent / "a checkout"
        for part in PARTS:
            shutil.copytree(ROOT / part, self.root / part)
        shutil.copy(ROOT / ".gitignore", self.root)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the entry with these arguments; stdout and stderr are captured as text."""
        return self.python(ENTRY, *arguments, **environment)

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy; its modules win over the installed ones."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def anywhere(
        self, folder: Path, script: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of the copy from another folder, with what is installed and no more."""
        return subprocess.run(
            [sys.executable, self.root / script, *arguments],
            cwd=folder,
            env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )

    def run_folder(self) -> Path:
        """The folder of the newest run."""
        return max(self.root.glob("outputs/*-*-*/*"), key=lambda path: path.name)
