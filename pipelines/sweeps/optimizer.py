"""ClearML's hyperparameter optimizer with Optuna, set up for the train step."""

from __future__ import annotations

import threading
import time
from typing import Any

from clearml import Task
from clearml.automation import HyperParameterOptimizer

from components.runtime.schema import BadInput, to_texts
from pipelines.engine.controller import plain_task
from pipelines.sweeps import leaderboard
from pipelines.sweeps.space import Dimension

POLL_SECONDS = 3.0
REPORT_MINUTES = 0.5  # between two looks at the time limit


def load_optuna() -> Any:
    """The package, which only an optimization needs; `BadInput` without it."""
    try:
        import optuna
    except ImportError:
        raise BadInput("optuna is not installed; pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _paced(optuna: Any) -> type:
    """ClearML's optimizer with pauses and an end."""
    from clearml.automation.optuna import OptimizerOptuna

    class Paced(OptimizerOptuna):
        """ClearML's asks the server without a pause until a trial reports its first epoch; once
        stopped it starts further trials, and waits for ever for one that left its queue."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.is_over = False
            self.has_ended = threading.Event()

        def start(self) -> None:
            try:
                super().start()
            finally:
                self.has_ended.set()

        def stop(self) -> None:
            self.is_over = True
            super().stop()

        def helper_create_job(self, *arguments: Any, **named: Any) -> Any:
            if self.is_over:
                raise optuna.TrialPruned
            return super().helper_create_job(*arguments, **named)

        def monitor_job(self, job: Any) -> bool:
            time.sleep(POLL_SECONDS)
            if self.is_over:
                job.abort()
            return not self.is_over and super().monitor_job(job)

    return Paced


def make(
    settings: Any, stage: str, base: Task, dimensions: list[Dimension], optuna: Any
) -> HyperParameterOptimizer:
    """The optimizer of a stage, with a task of its own below which its trials are."""
    task = plain_task(settings.run.project, "optimize", "optimizer", streams=False)
    told = {name: text for name, text in to_texts(settings).items() if "run." not in name}
    task.set_parameters({f"Optimize/{name}": text for name, text in told.items()})
    best_is_kept = base.get_parameters().get("kwargs/patience", "null") != "null"
    sign = "min" if settings.objective == "loss" else "max"
    made = HyperParameterOptimizer(
        base_task_id=base.id,
        hyper_parameters=[dimension.range() for dimension in dimensions],
        objective_metric_title=settings.objective,  # as ServerStore.report_epoch writes it
        objective_metric_series="validation",
        objective_metric_sign=f"{sign}_global" if best_is_kept else sign,
        optimizer_class=_paced(optuna),
        max_number_of_concurrent_tasks=settings.concurrent,
        execution_queue=getattr(settings.run.queues, stage),
        optimization_time_limit=settings.minutes,
        auto_connect_task=False,
        spawn_project=f"{settings.run.project}/optimize",  # out of the way of the steps' cache
        total_max_jobs=settings.trials,
        max_iteration_per_job=None,
        time_limit_per_job=settings.minutes_per_trial,
        pool_period_min=POLL_SECONDS / 60,
        optuna_sampler=optuna.samplers.TPESampler(seed=settings.seed, constant_liar=True),
    )
    made.set_report_period(REPORT_MINUTES)
    made.optimizer.set_job_naming_scheme(lambda name, given: f"{name} {words(given)}")
    return made


def words(given: dict[str, Any]) -> str:
    """A trial's parameters, short."""
    texts = {name.partition("/")[2]: leaderboard.short(value) for name, value in given.items()}
    return " ".join(f"{name}={text}" for name, text in texts.items())
