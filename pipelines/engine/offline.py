"""Steps without a server: called as functions, their outputs kept and reused below `outputs/`."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from components.runtime import storage
from components.runtime.files import read_json
from components.runtime.schema import BadInput
from pipelines.engine import single_flight
from pipelines.engine.fingerprint import Dependencies, Record, Records
from pipelines.engine.parameters import Config
from pipelines.engine.steps import Steps

log = logging.getLogger(__name__)

# What of the published folders a run's own folder gets, by the stage that made it.
DELIVERED = {
    "preprocess": {"images.csv": "manifest.csv"},
    "train": {"model.keras": "model.keras", "history.csv": "history.csv"},
    "evaluate": {"metrics.json": "metrics.json", "report.html": "report.html"},
}


class OfflineSteps(Steps):
    """Steps as functions in this process."""

    def __init__(self, config: Config, folder: Path) -> None:
        super().__init__(config, folder, storage.use_outputs(Path(config.run.outputs).resolve()))
        self.records = Records(self.store.outputs / "cache")

    def find(self, wanted: Dependencies) -> Record | None:
        record = self.records.find(wanted)
        if record is None or not self.store.is_intact(record.reference):
            return None
        # A raw dataset points to the photos where they lie; the outputs may have moved away.
        information = self.store.fetch(record.reference) / "dataset.json"
        root = read_json(information).get("root") if information.exists() else None
        return record if root is None or Path(root).is_dir() else None

    def why(self, wanted: Dependencies) -> str:
        return self.records.why(wanted)

    def alone(self, wanted: Dependencies) -> AbstractContextManager[None]:
        return single_flight.locked(self.store.outputs / "locks", wanted)

    def execute(self, component: Callable, wanted: Dependencies, arguments: dict[str, str]) -> str:
        reference = str(component(**arguments, fingerprint=wanted.fingerprint))
        outputs = self.store.outputs
        inside = outputs in self.folder.parents
        run = self.folder.relative_to(outputs).as_posix() if inside else str(self.folder)
        self.records.save(wanted, reference, run)
        return reference

    def reuse(self, component: Callable, record: Record, arguments: dict[str, str]) -> str:
        return record.reference

    def existing(self, stage: str, reference: str) -> str:
        if reference != "latest":
            self.store.fetch(reference)
            return reference
        found = self.store.latest(stage)
        if found is None:
            raise BadInput(f"latest: there is none in {self.store.outputs} yet")
        return found

    def finish(self) -> None:
        """Put what a person looks for into the run's folder."""
        for stage, files in DELIVERED.items():
            if stage in self.references:
                made = self.store.fetch(self.references[stage])
                for name, delivered in files.items():
                    _link(made / name, self.folder / delivered)
        self.keep_result()
        metrics = self.folder / "metrics.json"
        if metrics.exists():
            self.accuracy = read_json(metrics)["accuracy"]
            report = os.path.relpath(self.folder / "report.html")
            log.info("accuracy   %.3f on the test images; report: %s", self.accuracy, report)


def _link(source: Path, target: Path) -> None:
    """A hard link, which costs no space; a copy where the file system has none."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
