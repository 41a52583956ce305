"""Steps without a server: called as functions, their outputs kept and reused below `outputs/`."""

from __future__ import annotations

import html
import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from components.runtime import storage
from components.runtime.files import copy
from components.runtime.locks import locked
from components.runtime.schema import BadInput
from pipelines.engine.fingerprint import Dependencies, Record, Records
from pipelines.engine.pipeline import Pipeline, Stage
from pipelines.engine.steps import PAGE, Steps

log = logging.getLogger(__name__)


class OfflineSteps(Steps):
    """Steps as functions in this process."""

    def __init__(self, pipeline: Pipeline, config: Any, folder: Path) -> None:
        self.outputs = config.run.folder
        self.local = storage.use_outputs(self.outputs)
        super().__init__(pipeline, config, folder, self.local)
        self.records = Records(self.outputs / "cache")

    def find(self, wanted: Dependencies) -> Record | None:
        record = self.records.find(wanted)
        return record if record and self.store.is_intact(record.reference) else None

    def why(self, wanted: Dependencies) -> str:
        return self.records.why(wanted)

    def alone(self, wanted: Dependencies) -> AbstractContextManager[None]:
        def waits() -> None:
            log.info("%-10s waits: another run computes the same now", wanted.stage)

        return locked(self.local.locks / f"{wanted.stage}-{wanted.fingerprint}.lock", waits)

    def execute(self, stage: Stage, wanted: Dependencies, arguments: dict[str, str]) -> str:
        reference = str(stage.component(**arguments, fingerprint=wanted.fingerprint))
        inside = self.outputs in self.folder.parents
        run = self.folder.relative_to(self.outputs).as_posix() if inside else str(self.folder)
        self.records.save(wanted, reference, run)
        return reference

    def reuse(self, stage: Stage, record: Record, arguments: dict[str, str]) -> str:
        return record.reference

    def existing(self, stage: Stage, reference: str) -> str:
        found = self.local.latest(stage.published_as) if reference == "latest" else reference
        if found is None:
            raise BadInput(f"latest: there is none in {self.outputs} yet")
        self.store.fetch(found)
        if not found.startswith(stage.published_as):
            raise BadInput(f"{found}: is no {stage.given_by} that {stage.name} made")
        return found

    def finish(self) -> None:
        """Put what a person looks for into the run's folder."""
        places: dict[str, str] = {}
        lines = []
        for name, reference in self.references.items():
            made = self.store.fetch(reference)
            lines += self.pipeline.stages[name].closing(made, reference, self.run)
            for file, delivered in self.pipeline.stages[name].delivers.items():
                if name in self.made:
                    copy(made / file, self.folder / delivered)
                else:
                    places[delivered] = os.path.relpath(made / file, self.folder)
        if PAGE in places:
            (self.folder / PAGE).write_text(_pointer(places), encoding="utf-8")
        for line in lines:
            log.info(line)
        self.tell_result()


def _pointer(places: dict[str, str]) -> str:
    """A page that leads to the report that this run reused, and names all else that it did."""
    links = {name: html.escape(place, quote=True) for name, place in places.items()}
    lines = [f'<li><a href="{place}">{name}</a></li>' for name, place in links.items()]
    return (
        '<!doctype html><meta charset="utf-8"><title>Reused</title>\n'
        f'<meta http-equiv="refresh" content="0; url={links[PAGE]}">\n'
        f"<p>This run reused what an earlier one made:</p>\n<ul>\n{chr(10).join(lines)}\n</ul>\n"
    )
