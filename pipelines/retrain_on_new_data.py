"""Start a new run of the pipeline when a dataset gets a tag or is published, or at fixed times.

python pipelines/retrain_on_new_data.py tag=retrain schedule='daily 03:00' dry_run=true
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import os
from typing import Any

from components.runtime.schema import BadInput, parameters_of, parse, to_texts
from pipelines.dag import PETS
from pipelines.engine.command import command, open_store, use_sdk_settings
from pipelines.engine.parameters import ADVANCED, FORM
from pipelines.retraining import hook, schedules
from pipelines.retraining.settings import Settings


def work(settings: Any) -> None:
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
        service.tell(PETS, settings)
    elif settings.queue:
        known = parameters_of(Settings).items()
        helps = {name: one.help for name, one in known if not name.startswith("run.")}
        service.submit(PETS, settings, _stored(settings), helps)
    else:
        service.run(PETS, settings, _stored(settings))


def _on_agent(composed: Any) -> None:
    """As the task of a queue: its parameters, which a person may have edited, win."""
    use_sdk_settings()
    from pipelines.engine import controller
    from pipelines.retraining import service

    try:
        edited = {name.replace("/", "."): text for name, text in controller.task_texts().items()}
        settings = parse(type(composed), to_texts(composed) | edited)
        _check(settings)
        service.run(PETS, settings, {})
    except BadInput as error:
        controller.end_on_agent(error)


def _stored(settings: Any) -> dict[str, str]:
    """The settings under the names that the scheduler's task keeps them by."""
    return {
        f"{ADVANCED if name.startswith('run.') else FORM}/{name.replace('.', '/')}": text
        for name, text in to_texts(settings).items()
    }


def _check(settings: Any) -> None:
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
    command(PETS, Settings, "retrain_on_new_data", work)
