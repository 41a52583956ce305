"""What the modes share: which stages a run has, what each depends on, and what it tells of them."""

from __future__ import annotations

import contextlib
import logging
import os.path
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from components.runtime.files import write_json
from components.runtime.schema import BadInput, parameters_of, to_texts
from components.runtime.stores import Store
from pipelines.engine.fingerprint import Dependencies, Record, dependencies
from pipelines.engine.pipeline import Pipeline, Stage
from pipelines.engine.run_records import RESULT, STAGES

log = logging.getLogger(__name__)

PAGE = "report.html"  # of a run's folder: what a person opens
UNKNOWN = "?"  # in a plan: the output of a stage that would run


class StepFailed(RuntimeError):
    """A step that failed, with its name and reason."""


class Steps(ABC):
    """Calls the components in a mode's way, or hands out what an earlier run made."""

    def __init__(self, pipeline: Pipeline, config: Any, folder: Path, store: Store) -> None:
        self.pipeline = pipeline
        self.store = store
        self.config = config
        self.run = config.run
        self.folder = folder
        self.references: dict[str, str] = {}
        self.derived: dict[str, str] = {}  # the same of stages that others could do without
        self.made: set[str] = set()  # the stages whose output this run made itself
        self.told: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {}  # the figures by which runs are compared

    @abstractmethod
    def find(self, wanted: Dependencies) -> Record | None:
        """A finished step with the same fingerprint whose output is still good."""

    @abstractmethod
    def why(self, wanted: Dependencies) -> str:
        """How the step differs from the nearest earlier one, in words."""

    @abstractmethod
    def alone(self, wanted: Dependencies) -> AbstractContextManager[None]:
        """Held while a step is executed; waits while another run executes the same."""

    @abstractmethod
    def execute(self, stage: Stage, wanted: Dependencies, arguments: dict[str, str]) -> str:
        """Run the step; returns the reference of its output."""

    @abstractmethod
    def reuse(self, stage: Stage, record: Record, arguments: dict[str, str]) -> str:
        """The reference of a finished step's output."""

    @abstractmethod
    def existing(self, stage: Stage, reference: str) -> str:
        """What the stage published under `reference`, which may be `latest`; or `BadInput`."""

    @abstractmethod
    def finish(self) -> None:
        """Show what the steps made."""

    def run_all(self) -> None:
        """Run or reuse each stage in its turn, then show what came of them."""
        self._in_turn(self._step)
        for name, reference in self.references.items():
            stage = self.pipeline.stages[name]
            self.result |= stage.figures(self.store.fetch(reference))
        write_json(self.folder / RESULT, self.result)
        self.finish()

    def tell_result(self) -> None:
        """Say the figures that the run is about, and where its report is if that is here."""
        if told := self.pipeline.headline(self.result):
            page = self.folder / PAGE
            log.info("%s", f"{told}; report: {os.path.relpath(page)}" if page.exists() else told)

    def plan(self) -> None:
        """Tell which stages would be reused, without running any."""
        self._in_turn(self._plan)

    def _in_turn(self, do: Any) -> None:
        """Call `do` for each stage of this run with the references that it gets."""
        for stage in self.pipeline.stages.values():
            references = self._inputs(stage)
            if not self._left_out(stage, references):
                do(stage, references)

    def _inputs(self, stage: Stage) -> dict[str, str | None]:
        """The references of what the stage depends on, by its arguments; None where there is none.

        What it could make itself is not among them.
        """
        sources = self.pipeline.dag[stage.name].items()
        return {
            name: self.references.get(source)
            for name, source in sources
            if not self.pipeline.stages[source].derived
        }

    def _derived(self, stage: Stage, do: Any) -> dict[str, str]:
        """What the stage could make itself, by its arguments: made now if it is its own to make."""
        found = {}
        for name, source in self.pipeline.dag[stage.name].items():
            row = self.pipeline.stages[source]
            if not row.derived or not row.needed(row.settings(self.config)):
                continue
            if source not in self.derived:
                inputs = self._inputs(row)
                if row.settings_of == stage.name and source in self.run.stages:
                    do(row, inputs)
                elif not {None, UNKNOWN} & {*inputs.values()} and not self._forced(source):
                    record = self.find(self._wanted(row, inputs)[0])
                    self.derived |= {source: record.reference} if record else {}
            found |= {name: self.derived[source]} if source in self.derived else {}
        return found

    def _step(self, stage: Stage, references: dict[str, str]) -> None:
        wanted, arguments = self._wanted(stage, references)
        record, why = self._decide(wanted)
        if not record:
            arguments |= self._derived(stage, self._step)
        began = time.monotonic()
        with contextlib.ExitStack() as turn:
            if not record and not self._forced(stage.name):
                turn.enter_context(self.alone(wanted))
                record = self.find(wanted)  # another run may just have made it
            if record:
                why = ""
                log.info("%-10s reused from run %s", stage.name, record.run)
                reference = self.reuse(stage, record, arguments)
            else:
                log.info("%-10s runs: %s", stage.name, why)
                reference = self.execute(stage, wanted, arguments)
                self.made.add(stage.name)
        (self.derived if stage.derived else self.references)[stage.name] = reference
        self.told.append(
            {
                "stage": stage.name,
                "reference": reference,
                "reused_from": record.run if record else None,
                "why": why,
                "seconds": round(time.monotonic() - began, 2),
            }
        )
        write_json(self.folder / STAGES, self.told)

    def _plan(self, stage: Stage, references: dict[str, str]) -> None:
        into = self.derived if stage.derived else self.references
        unknown = [name for name, reference in references.items() if reference == UNKNOWN]
        if unknown:
            self._derived(stage, self._plan)
            log.info("%-10s run: unless the new %s is the same", stage.name, " and ".join(unknown))
            into[stage.name] = UNKNOWN
            return
        record, why = self._decide(self._wanted(stage, references)[0])
        if not record:
            self._derived(stage, self._plan)
        told = f"reuse: made by run {record.run}" if record else f"run: {why}"
        log.info("%-10s %s", stage.name, told)
        into[stage.name] = record.reference if record else UNKNOWN

    def _left_out(self, stage: Stage, references: dict[str, str | None]) -> bool:
        """Whether the stage is not run at all; what a run starts from becomes its output."""
        if self._is_given(stage):
            try:
                given = getattr(self.run, stage.given_by)
                self.references[stage.name] = self.existing(stage, given)
            except BadInput as error:
                raise BadInput(f"run.{stage.given_by}={error}") from None
            return True
        if not self._is_asked(stage):
            return True
        if stage.derived and not self._forced(stage.name):
            maker = self.pipeline.stages[stage.settings_of]
            if self._is_asked(maker) and not self._is_given(maker):
                return True  # it is made when that one runs
        if not stage.needed(stage.settings(self.config)):
            log.info("%-10s not needed with these parameters", stage.name)
            return True
        for name, reference in references.items():
            if reference is None:
                source = self.pipeline.stages[self.pipeline.dag[stage.name][name]]
                remedy = f", or give run.{source.given_by}=latest" if source.given_by else ""
                raise BadInput(
                    f"run.stages={self.run.stages}: {stage.name} needs a {name}; "
                    f"add the stage that makes it{remedy}"
                )
        return False

    def _is_given(self, stage: Stage) -> bool:
        """Whether the run starts from an output of the stage."""
        return bool(stage.given_by) and getattr(self.run, stage.given_by) is not None

    def _is_asked(self, stage: Stage) -> bool:
        """Whether the stage is one of those to run, and the run has a use for its output."""
        needless = stage.needless_with and getattr(self.run, stage.needless_with) is not None
        return stage.name in self.run.stages and not needless

    def _wanted(
        self, stage: Stage, references: dict[str, str]
    ) -> tuple[Dependencies, dict[str, str]]:
        """What the step depends on, and the arguments that it is called with."""
        settings = stage.settings(self.config)
        known = parameters_of(type(settings))
        texts = to_texts(settings)
        counted = {name: text for name, text in texts.items() if known[name].affects_result}
        beside = stage.beside(settings, references, self.store)
        inputs = {
            name: getattr(self.store.identity(reference), stage.keyed_by)
            for name, reference in references.items()
        }
        inputs |= {
            name: self.store.identity(reference).content
            for name, reference in beside.items()
            if reference
        }
        inputs |= stage.outside(settings, self.store)
        wanted = dependencies(stage.name, counted, inputs)
        code = {"code": "" if self._forced(stage.name) else wanted.code} if stage.in_pieces else {}
        return wanted, {**references, **beside, **code, **texts}

    def _forced(self, stage: str) -> str:
        """Why a stage runs whatever was made before; empty if it need not."""
        if not self.run.cache:
            return "run.cache=false"
        return "forced" if stage in self.run.force else ""

    def _decide(self, wanted: Dependencies) -> tuple[Record | None, str]:
        """The record to reuse, or None and the reason to run."""
        forced = self._forced(wanted.stage)
        if forced:
            return None, forced
        record = self.find(wanted)
        return (record, "") if record else (None, self.why(wanted))
