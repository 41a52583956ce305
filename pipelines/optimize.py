"""Search good parameters of the train step: ClearML's optimizer with Optuna, trials on a queue.

python pipelines/optimize.py trials=20 "space=[train.learning_rate log 1e-4 1e-2]"
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import contextlib
import io
import logging
import shlex
import warnings
from datetime import datetime
from typing import TYPE_CHECKING, Any

from components.runtime import INTERRUPTED
from components.runtime.schema import BadInput, parse, to_texts
from components.runtime.stores import steps_project
from pipelines.dag import PETS
from pipelines.engine.command import command, use_sdk_settings
from pipelines.engine.run_records import new_folder
from pipelines.sweeps import leaderboard, space
from pipelines.sweeps.settings import Settings
from pipelines.sweeps.space import Dimension
from pipelines.sweeps.trials import Trial

if TYPE_CHECKING:
    from clearml import Task
    from clearml.automation import HyperParameterOptimizer

ABORT_SECONDS = 60  # that the trials get to be aborted
STAGE = PETS.stages["train"]  # whose parameters are searched


def work(settings: Any) -> None:
    """Optimize, then compare the trials and tell how to train with the best parameters."""
    dimensions = space.read(settings.space, STAGE)
    if settings.run.mode != "queue":
        raise BadInput(f"run={settings.run.mode}: the trials need a queue; use run=queue")
    use_sdk_settings()
    from pipelines.engine import enqueue, server
    from pipelines.sweeps import optimizer

    optuna = optimizer.load_optuna()
    server.check_connection()
    enqueue.check_queue(STAGE.name, settings.run)
    base = _base(settings)
    made = optimizer.make(settings, STAGE.name, base, dimensions, optuna)
    print(f"trials of {base.get_output_log_web_page()}, Ctrl-C aborts those that run", flush=True)
    interrupted = _run(made, settings)
    reached = _conclude(made, settings, base, dimensions)
    if interrupted or not reached:
        sys.exit(INTERRUPTED if interrupted else 1)


def _base(settings: Any) -> Task:
    """The step that trials are clones of."""
    from clearml import Task

    from components.runtime.stores.datasets import is_task
    from pipelines.engine.enqueue import tasks_in

    if settings.base == "latest":
        found = tasks_in(
            steps_project(settings.run.project),
            name=f"^{STAGE.name}$",
            status=["completed", "published"],
            system_tags=["-archived"],
            order_by=["-last_update"],
            page=0,
            page_size=1,
        )
        if not found:
            raise BadInput(
                f"base=latest: project {settings.run.project} has no finished train step yet; "
                "run the pipeline first"
            )
        return found[0]
    if not is_task(settings.base):
        raise BadInput(f"base={settings.base}: no task of that id on the server")
    task = Task.get_task(task_id=settings.base)
    if "kwargs/learning_rate" not in task.get_parameters():
        raise BadInput(f"base={settings.base}: that is no train step; give the id of one")
    return task


def _run(optimizer: HyperParameterOptimizer, settings: Any) -> bool:
    """Until all trials have ended or the time is up; whether Ctrl-C has aborted what runs."""
    from pipelines.sweeps.optimizer import POLL_SECONDS, words
    from pipelines.sweeps.trials_server import outcomes

    logging.getLogger("clearml").setLevel(logging.ERROR)
    screen = sys.stdout
    told: set[str] = set()
    interrupted = False

    def tell() -> None:
        created = optimizer.optimizer.get_created_jobs_ids()
        for task, outcome in outcomes(list(created)).items() if created else ():
            if outcome.ended and task not in told:
                told.add(task)
                value = outcome.validation(settings.objective)
                reached = "" if value is None else f" {settings.objective} {value:.3f}"
                line = f"{outcome.status}{reached}  {words(created[task])}"
                print(f"[{len(told)}] {line}", file=screen, flush=True)

    # Its own words are about its loop, and Optuna's about values that it is given twice.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer.start()
        try:
            while not optimizer.wait(timeout=POLL_SECONDS / 60):
                tell()
        except KeyboardInterrupt:
            interrupted = True
            print("aborting the trials that run", file=screen)
        optimizer.stop()
        optimizer.optimizer.has_ended.wait(ABORT_SECONDS)
        tell()
    return interrupted


def _conclude(
    optimizer: HyperParameterOptimizer,
    settings: Any,
    base: Task,
    dimensions: list[Dimension],
) -> bool:
    """Compare the trials, here and on a page; whether one of them has a result."""
    from pipelines.sweeps.trials_server import outcomes

    created = optimizer.optimizer.get_created_jobs_ids()
    now = datetime.now()
    folder = Path(new_folder(f"{settings.run.folder}/optimize/{now:%Y-%m-%d}/{now:%H-%M-%S}"))
    known = []
    for number, (task, outcome) in enumerate(outcomes(list(created)).items()):
        given = {f"{STAGE.name}.{one.name}": str(created[task][one.argument]) for one in dimensions}
        trial = Trial(number, given, str(folder), outcome.status, outcome.reason)
        trial.seconds, trial.task, trial.page = outcome.seconds, task, outcome.page
        trial.objective = f"validation {settings.objective}"
        trial.reached = outcome.validation(settings.objective)
        known.append(trial)
    if not known:
        raise BadInput("no trial was started; see the messages above")
    best, told = leaderboard.ranked(known)[0], ""
    if best.reached is not None:
        told = f"to train with the best: {_command(base, best, settings)}"
    leaderboard.conclude(known, folder, told, settings.run.project, "optimize")
    return best.reached is not None


def _command(base: Task, best: Trial, settings: Any) -> str:
    """The pipeline on the same dataset with the best parameters, as a line for a shell."""
    arguments = {
        name.partition("/")[2]: text
        for name, text in base.get_parameters().items()
        if name.startswith("kwargs/")
    }
    dataset = arguments["dataset"]
    for name in ("fingerprint", *PETS.dag[STAGE.name]):
        arguments.pop(name, None)
    arguments |= {name.partition(".")[2]: text for name, text in best.parameters.items()}
    wanted = to_texts(parse(STAGE.schema, arguments, STAGE.name))
    usual = PETS.parameters.defaults()
    changed = [
        f"{STAGE.name}.{name}={text}"
        for name, text in wanted.items()
        if usual[f"{STAGE.name}/{name}"] != text
    ]
    run = settings.run
    where = ["run=queue", f"run.project={run.project}", f"run.dataset={dataset}"]
    return f"python {PETS.entry} {shlex.join([*where, *changed])}"


if __name__ == "__main__":
    heeds = ("mode", "project", "outputs", "idle_queues", f"queues.{STAGE.name}")
    command(PETS, Settings, "optimize", work, heeds)
