"""The parameters of retraining; their values are in conf/retrain_on_new_data.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from components.runtime.schema import parameter


@dataclass(frozen=True)
class Settings:
    """Start a new run of the pipeline when a dataset gets a tag or is published, or at fixed times.

    The new run is a copy of an earlier one, on the new data; the gate decides on its promotion.
    """

    tag: str | None = parameter()
    "Each ClearML dataset with this tag gets a run, once; null: none does."
    published: bool = parameter()
    "Each dataset that is published after the first start gets a run, once."
    dataset: str | None = parameter()
    "Watch this one, project/name; runs at fixed times take its newest. null: all of run.project."
    schedule: str | None = parameter()
    "Fixed times, UTC: every 30 minutes, every 6 hours, daily 03:00, or monday thursday 03:00."
    base: str = parameter()
    "The run to copy: its id, or latest for the newest that completed."
    parameters: list[str] = parameter()
    "Further parameters of the new runs, such as [train.epochs=20,train.seed=2]."
    poll_minutes: float = parameter(above=0)
    "Minutes from one look at the datasets to the next."
    notify: str | None = parameter()
    "Environment variable with the address that gets a JSON message at start and end of each run."
    queue: str | None = parameter()
    "Queue for the scheduler itself, such as services; null: it runs here, until Ctrl-C."
    dry_run: bool = parameter()
    "Only tell what would be started now, and when the schedule is due; creates nothing."
