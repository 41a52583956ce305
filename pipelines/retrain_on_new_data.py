"""Start a new run of the pipeline when a dataset gets a tag or is published, or at fixed times.

python pipelines/retrain_on_new_data.py tag=retrain schedule='daily 03:00' dry_run=true
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from components.runtime.schema import BadInput, parameter, parameters_of, parse, to_texts
from pipelines.engine.command import command, open_store, use_sdk_settings
from pipelines.engine.parameters import ADVANCED, FORM, Run
from pipelines.retraining import hook, schedules


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
    "Further parameters of the new runs, with both quotes: \"['train.epochs=20']\"."
    poll_minutes: float = parameter(above=0)
    "Minutes from one look at the datasets to the next."
    notify: str | None = parameter()
    "Environment variable with the address that gets a JSON message at start and end of each run."
    queue: str | None = parameter()
    "Queue for the scheduler itself, such as services; null: it runs here, until Ctrl-C."
    dry_run: bool = parameter()
    "Only tell what would be started now, and when the schedule is due; creates nothing."
    run: Run = parameter()


def work(settings: Settings) -> None:
    """Tell what would be done, or do it: here, or as a task of a queue."""
    if settings.run.mode == "offline":
        raise BadInput("run=offline: retraining needs a ClearML server; leave run=queue")
    if "CLEARML_TASK_ID" in os.environ:
        return _on_agent(settings)
    _check(settings)
    if not settings.queue:
        hook.Hook(settings.notify)
    open_store(settings.run)
    from pipelines.retraining import service

    if settings.dry_run:
        service.tell(settings)
    elif settings.queue:
        known = parameters_of(Settings).items()
        helps = {name: one.help for name, one in known if not name.startswith("run.")}
        service.submit(settings, _stored(settings), helps)
    else:
        service.run(settings, _stored(settings))


def _on_agent(composed: Settings) -> None:
    """As the task of a queue: its parameters, which a person may have edited, win."""
    use_sdk_settings()
    from pipelines.engine import controller
    from pipelines.retraining import service

    try:
        edited = {name.replace("/", "."): text for name, text in controller.task_texts().items()}
        settings = parse(Settings, to_texts(composed) | edited)
        _check(settings)
        service.run(settings, {})
    except BadInput as error:
        controller.end_on_agent(error)


def _stored(settings: Settings) -> dict[str, str]:
    """The settings under the names that the scheduler's task keeps them by."""
    return {
        f"{ADVANCED if name.startswith('run.') else FORM}/{name.replace('.', '/')}": text
        for name, text in to_texts(settings).items()
    }


def _check(settings: Settings) -> None:
    """`BadInput` for what can be seen without the server."""
    hook.check_name(settings.notify)
    if not (settings.tag or settings.published or settings.schedule):
        raise BadInput("nothing would start a run; set tag=..., published=true or schedule=...")
    if settings.schedule:
        schedules.parse(settings.schedule)
    if settings.dataset and "/" not in settings.dataset:
        raise BadInput(f"dataset={settings.dataset}: expected project/name")
    for override in settings.parameters:
        if "=" not in override:
            raise BadInput(f"parameters: {override} is no name=value")


if __name__ == "__main__":
    command(Settings, "retrain_on_new_data", work)
