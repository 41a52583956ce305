"""What the modes share: which stages a run has, what each depends on, and what it tells of them."""

from __future__ import annotations

import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.ingest import sources
from components.runtime.files import read_json, write_json
from components.runtime.schema import BadInput, parameters_of, to_texts
from components.train import weights
from pipelines.engine.fingerprint import Dependencies, Record, dependencies
from pipelines.engine.parameters import Config
from pipelines.sweeps.trials import RESULT

if TYPE_CHECKING:
    from components.runtime.stores.local_store import LocalStore
    from components.runtime.stores.server_store import ServerStore

log = logging.getLogger(__name__)

UNKNOWN = "?"  # in a plan: the output of a stage that would run

STARTS = {"preprocess": "dataset", "train": "model"}  # whose output `run.dataset` names, ...


class Steps(ABC):
    """Calls the components in a mode's way, or hands out what an earlier run made."""

    def __init__(self, config: Config, folder: Path, store: LocalStore | ServerStore) -> None:
        self.store = store
        self.run = config.run
        self.folder = folder
        self.references: dict[str, str] = {}
        self.told: list[dict[str, Any]] = []
        self.accuracy: float | None = None  # on the test images, once evaluated

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
    def execute(self, component: Callable, wanted: Dependencies, arguments: dict[str, str]) -> str:
        """Run the step; returns the reference of its output."""

    @abstractmethod
    def reuse(self, component: Callable, record: Record, arguments: dict[str, str]) -> str:
        """The reference of a finished step's output."""

    @abstractmethod
    def existing(self, stage: str, reference: str) -> str:
        """What `stage` published under `reference`, which may be `latest`; or `BadInput`."""

    @abstractmethod
    def finish(self) -> None:
        """Show what the steps made."""

    def keep_result(self) -> None:
        """Write down the figures by which the trials of a sweep are compared."""
        result: dict[str, Any] = {}
        if "train" in self.references:
            model = read_json(self.store.fetch(self.references["train"]) / "model.json")
            result["validation"] = model["validation"]["accuracy"]
        if "evaluate" in self.references:
            metrics = read_json(self.store.fetch(self.references["evaluate"]) / "metrics.json")
            result["test"] = metrics["accuracy"]
            result["interval"] = metrics["intervals"].get("accuracy", [])
        write_json(self.folder / RESULT, result)

    def __call__(self, component: Callable, settings: Any, **references: str | None) -> str | None:
        """The reference of the step's output; None for a stage that is left out."""
        stage = component.__name__
        if self._left_out(stage, references):
            return self.references.get(stage)
        if stage == "evaluate":
            references["champion"] = self._opponent(settings.gate, references["model"])
        wanted = self._dependencies(stage, settings, references)
        began = time.monotonic()
        record, why = self._decide(wanted)
        arguments = {**references, **to_texts(settings)}
        with contextlib.ExitStack() as turn:
            if not record and not self._forced(stage):
                turn.enter_context(self.alone(wanted))
                record = self.find(wanted)  # another run may just have made it
            if record:
                why = ""
                log.info("%-10s reused from run %s", stage, record.run)
                reference = self.reuse(component, record, arguments)
            else:
                log.info("%-10s runs: %s", stage, why)
                reference = self.execute(component, wanted, arguments)
        self.references[stage] = reference
        self.told.append(
            {
                "stage": stage,
                "reference": reference,
                "reused_from": record.run if record else None,
                "why": why,
                "seconds": round(time.monotonic() - began, 2),
            }
        )
        write_json(self.folder / "stages.json", self.told)
        return reference

    def plan(self, component: Callable, settings: Any, **references: str | None) -> str | None:
        """Tell whether the step would be reused, without running it."""
        stage = component.__name__
        if self._left_out(stage, references):
            return self.references.get(stage)
        unknown = [name for name, reference in references.items() if reference == UNKNOWN]
        if unknown:
            log.info("%-10s run: unless the new %s is the same", stage, " and ".join(unknown))
            return UNKNOWN
        if stage == "evaluate":
            references["champion"] = self._opponent(settings.gate, references["model"])
        record, why = self._decide(self._dependencies(stage, settings, references))
        log.info("%-10s %s", stage, f"reuse: made by run {record.run}" if record else f"run: {why}")
        return record.reference if record else UNKNOWN

    def _left_out(self, stage: str, references: dict[str, str | None]) -> bool:
        """Whether the stage is not run at all; what a run starts from becomes its output."""
        if stage in STARTS:
            name = STARTS[stage]
            start = getattr(self.run, name)
            if start is not None:
                try:
                    self.references[stage] = self.existing(stage, start)
                except BadInput as error:
                    raise BadInput(f"run.{name}={error}") from None
                return True
        if stage not in self.run.stages or (stage == "ingest" and self.run.dataset is not None):
            return True
        for name, reference in references.items():
            if reference is None:
                remedy = "" if name == "raw" else f", or give run.{name}=latest"
                raise BadInput(
                    f"run.stages={self.run.stages}: {stage} needs a {name}; "
                    f"add the stage that makes it{remedy}"
                )
        return False

    def _opponent(self, gate: str, model: str) -> str:
        """The champion that the model is compared with; empty for none."""
        champion = "" if gate == "off" else self.store.champions.opponent(model)
        if champion and not self.store.is_intact(champion):
            raise BadInput(
                f"evaluate.gate={gate}: the champion {champion} is gone or was altered; "
                "choose another with python pipelines/champion.py"
            )
        return champion

    def _dependencies(
        self, stage: str, settings: Any, references: dict[str, str | None]
    ) -> Dependencies:
        known = parameters_of(type(settings))
        texts = {
            name: text for name, text in to_texts(settings).items() if known[name].affects_result
        }
        inputs = {name: reference for name, reference in references.items() if reference}
        if stage == "ingest":
            inputs["images of the source"] = str(
                sources.fingerprint(settings, self.store.identify_dataset)
            )
        if stage == "train" and (content := weights.content(settings.weights)):
            inputs["weights"] = content
        return dependencies(stage, texts, inputs)

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
