"""Checkpoints: all that a training needs to go on as if it had never been interrupted.

One file, replaced in one move after each epoch, so at most two checkpoints ever lie on the disk
and a kill at any moment leaves a whole one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from components.runtime.files import written

log = logging.getLogger(__name__)


@dataclass
class Position:
    """Where a training is: complete epochs, and the best one so far."""

    phase: int = 0  # the running phase, counted from 0
    epoch: int = 0  # complete epochs of that phase
    over: bool = False  # the phase ended before its last epoch
    best_epoch: int = 0  # counted from 1 over all phases; 0: none yet
    best_loss: float = float("inf")
    waited: int = 0  # epochs since the best one
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Checkpoint:
    """A position and the values of all variables that the running phase changes."""

    position: Position
    variables: list[np.ndarray]
    best: list[np.ndarray]  # of the model's variables in the best epoch; empty: not kept


def training_key(fingerprint: str, dataset: str, arguments: Mapping[str, str]) -> str:
    """What tells a training from others: attempts share it, edited clones of a step do not.

    A clone keeps its base's fingerprint, whatever a person or an optimizer edits.
    """
    text = json.dumps([fingerprint, dataset, dict(arguments)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def complete_epochs(path: Path) -> int:
    """How many epochs a checkpoint file has seen; 0 for one that is missing or damaged."""
    try:
        with np.load(path) as stored:
            return len(json.loads(stored["position"].tobytes())["history"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return 0


class Checkpoints:
    """The checkpoint of one training in `folder`; None keeps none.

    `training` says what is trained, how and on what: a checkpoint of another training is not used.
    """

    def __init__(self, folder: Path | None, training: str) -> None:
        self._training = training
        self.file = Path(folder) / "checkpoint.npz" if folder else None

    def save(self, capture: Callable[[], Checkpoint]) -> None:
        """Replace the checkpoint; the old one stays until the new one is wholly on the disk."""
        if self.file is None:
            return
        checkpoint = capture()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"training": self._training, **asdict(checkpoint.position)})
        arrays = {"position": np.frombuffer(text.encode(), np.uint8)}
        arrays |= {f"variable/{i}": value for i, value in enumerate(checkpoint.variables)}
        arrays |= {f"best/{i}": value for i, value in enumerate(checkpoint.best)}
        with written(self.file) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())

    def load(self) -> Checkpoint | None:
        """The last checkpoint, or None when there is none that can be used."""
        if self.file is None or not self.file.is_file():
            return None
        try:
            with np.load(self.file) as stored:
                position = json.loads(stored["position"].tobytes())
                if position.pop("training") != self._training:
                    raise ValueError("of another training")
                parts = {
                    part: [stored[name] for name in stored.files if name.startswith(f"{part}/")]
                    for part in ("variable", "best")
                }
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            log.warning("%s: can't be used (%s); training starts over", self.file, error)
            return None
        return Checkpoint(Position(**position), parts["variable"], parts["best"])
