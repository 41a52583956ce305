"""Published things as folders below `outputs/`, named by what they are and by all their bytes."""

from __future__ import annotations

import contextlib
import re
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from components.runtime.files import SEAL, altered, protect, read_json, read_seal, seal
from components.runtime.locks import is_held, locked
from components.runtime.schema import BadInput
from components.runtime.stores import WEIGHTS, Artifact, Identity
from components.runtime.stores.attempts import Attempt
from components.runtime.stores.local_champions import LocalChampions

REFERENCE = re.compile(r"\w+/[^/\\]+")
LOG = "published.txt"  # references in the order of their publication, whatever a clock says


class LocalStore:
    """References are paths below `outputs`, such as `models/small_resnet-0f3a5c7e9b1d-4c1d22e8`."""

    def __init__(self, outputs: Path) -> None:
        self.outputs = outputs
        self.temporary = outputs / "tmp"
        self.locks = outputs / "locks"
        self.scratch = outputs / "cache"
        self.champions = LocalChampions(outputs / "champion.json", self.is_intact, self._content)

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """An empty folder to fill; removed if not published, by others if this process dies."""
        name = uuid.uuid4().hex
        with locked(self._lock_of(name)):
            folder = self.temporary / name
            folder.mkdir(parents=True)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        self._lock_of(name).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what runs that were killed left in `temporary`: workspaces that nobody holds."""
        for path in self.temporary.glob("*"):
            if not is_held(self._lock_of(path.name)):
                shutil.rmtree(path, ignore_errors=True)
                self._lock_of(path.name).unlink(missing_ok=True)

    def _lock_of(self, workspace: str) -> Path:
        return self.locks / f"workspace-{workspace}.lock"

    def publish(self, folder: Path, artifact: Artifact) -> str:
        """Seal the folder and move it to its place by one rename."""
        version = seal(folder, artifact.content, artifact.apart)
        parts = [artifact.name, artifact.content[:12], version[: 8 if artifact.content else 12]]
        reference = f"{artifact.kind}s/{'-'.join(filter(None, parts))}"
        target = self.outputs / reference
        if not self.is_intact(reference):
            target.parent.mkdir(parents=True, exist_ok=True)
            protect(folder, like=target.parent)
            if target.exists():  # damaged
                target.rename(self.temporary / uuid.uuid4().hex)
            try:
                folder.rename(target)
            except OSError:
                if not self.is_intact(reference):  # another run was not faster with the same
                    raise
        self._note(LOG, reference)
        if artifact.pieces:
            self._note(f"pieces/{artifact.pieces}.txt", reference)
        if artifact.keep:
            alike = dict.fromkeys(self._published(f"{artifact.kind}s/{artifact.name}-"))
            for old in list(alike)[artifact.keep :]:
                shutil.rmtree(self.outputs / old, ignore_errors=True)
        return reference

    def _note(self, log: str, reference: str) -> None:
        """Append to a log of publications."""
        path = self.outputs / log
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{reference}\n")

    def fetch(self, reference: str, files: Collection[str] = ()) -> Path:
        """The folder behind a reference, checked against its seal, whichever `files` are wanted."""
        folder = self._folder(reference)
        if file := self._altered(reference):
            raise BadInput(
                f"{reference}: {folder / file} is not as it was published; "
                "run the stage that made it again, or choose another"
            )
        return folder

    def fetch_weights(self, reference: str) -> Path:
        """The file with the weights of a model."""
        return self.fetch(reference) / WEIGHTS

    def identity(self, reference: str) -> Identity:
        """As the seal says it."""
        try:
            sealed = read_seal(self._folder(reference))
        except (OSError, ValueError):
            raise BadInput(f"{reference}: {SEAL} there is damaged; run that stage again") from None
        return Identity(sealed["content"], sealed["version"])

    def _content(self, model: str) -> str:
        try:
            return self.identity(model).content
        except BadInput:  # it is gone: nothing else is the same
            return model

    def is_intact(self, reference: str) -> bool:
        """Whether every file of a published folder is there, unaltered."""
        try:
            return self._altered(reference) is None
        except BadInput:
            return False

    def remove(self, references: list[str]) -> None:
        """Remove published folders."""
        for reference in references:
            shutil.rmtree(self._folder(reference), ignore_errors=True)

    def with_pieces(self, pieces: str, files: Collection[str] = ()) -> Iterator[Path]:
        """Folders of earlier publications with these pieces, each whole, the newest first."""
        log = f"pieces/{pieces}.txt"
        for reference in dict.fromkeys(self._published("", log)) if pieces else ():
            if self.is_intact(reference):
                yield self.outputs / reference

    def latest(self, kind: str) -> str | None:
        """The reference of that beginning, such as `models/`, that was published last, or None."""
        return next(self._published(kind), None)

    def attempt(self, key: str, complete_epochs: Callable[[Path], int]) -> Attempt:
        """An attempt at the training `key`; all of them share the folder of checkpoints."""
        return Attempt(self.outputs / "checkpoints" / key)

    def identify_dataset(self, name: str) -> str:
        """A ClearML dataset can't be had without a server."""
        raise BadInput(f"ingest.dataset={name}: needs a ClearML server; use run=local or run=queue")

    def resolve_dataset(self, name: str) -> Path:
        """As for `identify_dataset`."""
        return Path(self.identify_dataset(name))

    def dataset_info(self, content: str) -> dict[str, Any] | None:
        """Of the dataset of that content that was published last."""
        found = self.latest(f"datasets/processed-{content[:12]}") if content else None
        return read_json(self.fetch(found) / "dataset.json") if found else None

    def evaluation_of(self, content: str) -> str | None:
        """The newest evaluation of the model of that content, or None."""
        for reference in self._published("evaluations/") if content else ():
            if read_json(self.outputs / reference / "metrics.json").get("model") == content:
                return reference
        return None

    def report_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """Nothing: the curves are in the model's folder and in the report."""

    def _published(self, kind: str, log: str = LOG) -> Iterator[str]:
        """References of that beginning that are still there, the newest first."""
        try:
            lines = (self.outputs / log).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return
        for line in reversed(lines):
            if line.startswith(kind) and (self.outputs / line / SEAL).is_file():
                yield line

    def _folder(self, reference: str) -> Path:
        """Where a reference points to; `BadInput` for what leaves the store, or is not there."""
        folder = self.outputs / reference
        if not REFERENCE.fullmatch(reference) or not (folder / SEAL).is_file():
            raise BadInput(f"{reference}: nothing of that name is in {self.outputs}")
        return folder

    def _altered(self, reference: str) -> str | None:
        """The file that is not as it was published; the seal itself has the name that it gives."""
        folder = self._folder(reference)
        file = altered(folder)
        version = read_seal(folder)["version"] if file is None else ""
        named = reference.rpartition("-")[2].rpartition("/")[2]
        return file or (None if version.startswith(named) else SEAL)
