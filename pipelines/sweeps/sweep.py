"""A sweep as a whole: refused at once where no trial could run, and a leaderboard at its end.

Hydra's launcher calls `run_trial` for each trial; `conf/config.yaml` names the callback.
"""

from __future__ import annotations

import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from components.runtime.schema import BadInput
from components.runtime.source import ROOT
from pipelines.engine import modes
from pipelines.engine.command import BAD_INPUT, refuse
from pipelines.engine.parameters import Run, flatten
from pipelines.engine.pipeline import Pipeline
from pipelines.sweeps import leaderboard, trials
from pipelines.sweeps.trials import Trial

POLL_SECONDS = 3.0


def run_trial(pipeline: Pipeline, hydra: DictConfig, folder: Path) -> float | None:
    """Run one trial; returns its test accuracy."""
    sweep = Path(hydra.sweep.dir).resolve()
    entry = ROOT / pipeline.entry
    return trials.run(entry, hydra.job.num, list(hydra.overrides.task), sweep, folder)


class Leaderboard(Callback):
    """What happens before the first trial and after the last one."""

    def __init__(self, pipeline: str) -> None:
        """`pipeline` is the dotted name of the pipeline that the trials run."""
        self.pipeline: Pipeline = get_object(pipeline)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse what would fail in every trial, and make Ctrl-C end all processes."""
        try:
            run = _check(self.pipeline, config)
        except BadInput as error:
            refuse(error)
        folder = Path(config.hydra.sweep.dir).resolve()

        def interrupt(number: int, _: FrameType | None) -> NoReturn:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_IGN)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / trials.INTERRUPTED).touch()
            known = trials.load(folder)
            trials.end(known)
            _conclude(known, folder, run, self.pipeline.entry)
            sys.exit(128 + number)

        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, interrupt)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Wait for what runs elsewhere, compare, and end with an error if every trial failed."""
        run = _run_of(self.pipeline, config)
        folder = Path(config.hydra.sweep.dir).resolve()
        known = trials.load(folder)
        if run.plan or not known:
            return
        if any(trial.status == trials.QUEUED for trial in known):
            _wait(known)
        _conclude(known, folder, run, self.pipeline.entry)
        if all(trial.status != trials.COMPLETED for trial in known):
            codes = {trial.exit_code for trial in known}
            sys.exit(BAD_INPUT if codes == {BAD_INPUT} else 1)


def _check(pipeline: Pipeline, config: DictConfig) -> Run:
    """Read what all trials have in common; `BadInput` for what would refuse each of them."""
    run = _run_of(pipeline, config)
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    swept = {one.key_or_group for one in overrides if one.is_sweep_override()}
    varies = any(name.split(".")[0] in ("run", "experiment") for name in swept)
    if not varies and OmegaConf.select(config, "rerun") is None:
        modes.preflight(pipeline, run)
    return run


def _run_of(pipeline: Pipeline, config: DictConfig) -> Run:
    """The settings of `run`; every parameter that all trials share is checked on the way."""
    plain = OmegaConf.masked_copy(config, [name for name in config if name != "hydra"])
    nested = OmegaConf.to_container(plain, resolve=True)
    nested.pop("rerun", None)
    return pipeline.parameters.read(flatten(nested)).run


def _wait(known: list[Trial]) -> None:
    """Wait for the trials that are on queues, and note what became of each."""
    from pipelines.sweeps.trials_server import outcomes

    waiting = {trial.task: trial for trial in known if trial.status == trials.QUEUED}
    print("waiting for the trials on their agents; Ctrl-C ends the waiting alone:")
    for trial in waiting.values():
        print(f"[{trial.number}] {trial.page}", flush=True)
    while waiting:
        for task, outcome in outcomes(list(waiting)).items():
            if not outcome.ended:
                continue
            trial = waiting.pop(task)
            trial.status, trial.reason = outcome.status, outcome.reason
            trial.seconds, trial.test = outcome.seconds, outcome.figures.get("test accuracy")
            trial.validation = outcome.figures.get("validation accuracy")
            trial.save()
            print(f"[{trial.number}] {trial.status}", flush=True)
        if waiting:
            time.sleep(POLL_SECONDS)


def _conclude(known: list[Trial], folder: Path, run: Run, entry: str) -> None:
    """The table in the terminal, the files in the sweep's folder, and the task on the server."""
    if not known:
        return
    for trial in known:
        if trial.status == trials.RUNNING:
            trial.status = trials.INTERRUPTED
    best, told = leaderboard.ranked(known)[0], ""
    if leaderboard.measure(best)[1] is not None:
        words = shlex.join(f"{name}={text}" for name, text in best.parameters.items())
        told = f"best: trial {best.number}; alone: python {entry} {words}"
    project = None if run.mode == "offline" else run.project
    leaderboard.conclude(known, folder, told, project, "sweep")
