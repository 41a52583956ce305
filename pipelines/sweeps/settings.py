"""The parameters of an optimization; their values are in conf/optimize.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from components.runtime.schema import parameter


@dataclass(frozen=True)
class Settings:
    """Search good parameters of the train step, with Optuna: each trial trains on a queue."""

    base: str = parameter()
    "The train step whose other parameters and dataset the trials have: its task id, or latest."
    space: list[str] = parameter()
    """What varies: train.NAME log LOW HIGH, train.NAME uniform LOW HIGH, or train.NAME choice
    VALUE VALUE ..."""
    objective: str = parameter(choices=("accuracy", "auc", "loss"))
    "The figure of the validation images that counts."
    trials: int = parameter(at_least=1)
    "How many trainings at most."
    concurrent: int = parameter(at_least=1)
    "How many of them at a time."
    minutes: float | None = parameter(above=0)
    "Time for all of it, after which running trials are aborted; null for no limit."
    minutes_per_trial: float | None = parameter(above=0)
    "Time for one trial; null for no limit."
    seed: int = parameter(at_least=0)
    "Another number draws other first trials."
