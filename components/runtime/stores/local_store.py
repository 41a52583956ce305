"""Published things as folders below `outputs/`, named by the hash of their content."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.runtime.files import file_hash, read_json, write_json
from components.runtime.schema import BadInput
from components.runtime.stores.attempts import Attempt
from components.runtime.stores.local_champions import LocalChampions

SEAL = "sealed.json"  # size and sha256 of every other file of a published folder


class LocalStore:
    """References are paths below `outputs`, such as `models/small_resnet-0f3a5c7e9b1d`."""

    def __init__(self, outputs: Path) -> None:
        self.outputs = outputs
        self.temporary = outputs / "tmp"
        self.champions = LocalChampions(outputs / "champion.json", self.is_intact)

    def publish_dataset(self, folder: Path, parent: str | None) -> str:
        """Keep a raw or processed dataset; it is named by its kind and content."""
        info = read_json(folder / "dataset.json")
        return self._publish(folder, f"datasets/{info['kind']}-{info['content'][:12]}")

    def publish_model(self, folder: Path, dataset: str) -> str:
        """Keep a model; it is named by its architecture and weights."""
        info = read_json(folder / "model.json")
        return self._publish(folder, f"models/{info['architecture']}-{info['content'][:12]}")

    def publish_evaluation(self, folder: Path) -> str:
        """Keep an evaluation; it is named by its figures."""
        return self._publish(folder, f"evaluations/{file_hash(folder / 'metrics.json')[:12]}")

    def fetch(self, reference: str) -> Path:
        """The folder behind a reference."""
        folder = self.outputs / reference
        if not (folder / SEAL).is_file():
            raise BadInput(f"{reference}: nothing of that name is in {self.outputs}")
        return folder

    def fetch_weights(self, reference: str) -> Path:
        """The file with the weights of a model."""
        return self.fetch(reference) / "model.keras"

    def attempt(self, key: str, complete_epochs: Callable[[Path], int]) -> Attempt:
        """An attempt at the training `key`; all of them share the folder of checkpoints."""
        return Attempt(self.outputs / "checkpoints" / key)

    def identify_dataset(self, name: str) -> str:
        """A ClearML dataset can't be had without a server."""
        raise BadInput(f"ingest.dataset={name}: needs a ClearML server; use run=local or run=queue")

    def resolve_dataset(self, name: str) -> Path:
        """As for `identify_dataset`."""
        return Path(self.identify_dataset(name))

    def latest(self, stage: str) -> str | None:
        """The newest output of `preprocess` or `train`, or None."""
        kind = {"preprocess": "datasets/processed-*", "train": "models/*"}[stage]
        seals = list(self.outputs.glob(f"{kind}/{SEAL}"))
        if not seals:
            return None
        newest = max(seals, key=lambda seal: seal.stat().st_mtime_ns)
        return newest.parent.relative_to(self.outputs).as_posix()

    def dataset_info(self, content: str) -> dict[str, Any] | None:
        """What `dataset.json` says of the processed dataset of that content; None without it."""
        path = self.outputs / f"datasets/processed-{content[:12]}" / "dataset.json"
        return read_json(path) if content and path.is_file() else None

    def evaluation_of(self, content: str) -> str | None:
        """The newest evaluation of the model of that content, or None."""
        found = [
            path
            for path in self.outputs.glob("evaluations/*/metrics.json")
            if content and read_json(path).get("model") == content
        ]
        if not found:
            return None
        newest = max(found, key=lambda path: path.stat().st_mtime_ns)
        return newest.parent.relative_to(self.outputs).as_posix()

    def report_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """Nothing: the curves are in the model's folder and in the report."""

    def is_intact(self, reference: str) -> bool:
        """Whether every file of a published folder is there, unaltered."""
        folder = self.outputs / reference
        try:
            return all(
                (folder / name).stat().st_size == known["bytes"]
                and file_hash(folder / name) == known["sha256"]
                for name, known in read_json(folder / SEAL).items()
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def _publish(self, folder: Path, reference: str) -> str:
        """Seal the folder and move it to its place by one rename."""
        target = self.outputs / reference
        if self.is_intact(reference):
            (target / SEAL).touch()  # it is the latest again
            return reference
        _seal(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # damaged
            target.rename(self.temporary / f"damaged-{time.time_ns()}")
        try:
            folder.rename(target)
        except OSError:
            if not self.is_intact(reference):  # another run was not faster with the same content
                raise
        return reference


def _seal(folder: Path) -> None:
    """Write down the size and sha256 of every file, to tell later whether one was altered."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sealed = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": file_hash(path),
        }
        for path in files
    }
    write_json(folder / SEAL, sealed)


def remove_leftovers(temporary: Path) -> None:
    """Remove what runs that were killed left in `temporary`: folders named by a dead process."""
    for path in temporary.glob("*"):
        process = path.name.partition("-")[0]
        if not (process.isdigit() and _is_running(int(process))):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
