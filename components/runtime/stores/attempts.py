"""What lasts between the attempts of one training: the folder with its checkpoint."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

FILE = "checkpoint.npz"
ABANDONED_DAYS = 30  # after which nobody goes on with a training


class Attempt:
    """One attempt at a training, from its start to its end in whatever way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / FILE

    def __enter__(self) -> Attempt:
        """Others' checkpoints that were abandoned are removed, so that they don't fill the disk."""
        for file in self.folder.parent.glob(f"*/{FILE}"):
            with contextlib.suppress(FileNotFoundError):  # that training has just ended
                age = time.time() - file.stat().st_mtime
                if file != self.file and age > ABANDONED_DAYS * 86400:
                    shutil.rmtree(file.parent, ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Offline the file is where the next attempt looks."""

    def saved(self) -> None:
        """A checkpoint may be new; told after each epoch."""

    def succeeded(self) -> None:
        """The training's result is published: its checkpoint has no use any more."""
        shutil.rmtree(self.folder, ignore_errors=True)
