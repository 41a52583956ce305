"""The pipeline: ingest -> preprocess -> train -> evaluate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clearml import PipelineDecorator

from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.preprocess.component import preprocess
from components.runtime.step import BAD_INPUT
from components.runtime.stores import PIPELINE
from components.train.component import train
from pipelines.engine import parameters
from pipelines.engine.parameters import Config
from pipelines.engine.steps import Steps

NAME = PIPELINE  # on ClearML
VERSION = "1.0.0"


def connect(step: Callable[..., str | None], config: Config) -> None:
    """Call the stages in their order: `step(component, settings, **references) -> reference`."""
    raw = step(ingest, config.ingest)
    dataset = step(preprocess, config.preprocess, raw=raw)
    model = step(train, config.train, dataset=dataset)
    step(evaluate, config.evaluate, model=model, dataset=dataset)


def pipeline(config: Config, make_step: Callable[[Config], Steps]) -> Callable[..., Any]:
    """The DAG as a ClearML pipeline; `make_step` says how a component is called."""

    def may_retry(_: Any, node: Any, retries: int) -> bool:
        if node.job.task.data.status_reason == BAD_INPUT:
            return False
        return retries < getattr(config.run.retries, parameters.stage_of(node.name))

    @PipelineDecorator.pipeline(
        name=NAME,
        project=config.run.project,
        version=VERSION,
        default_queue=config.run.queues.ingest,  # ClearML wants one before each step names its own
        args_map={parameters.ADVANCED: parameters.advanced_names()},
        retry_on_failure=may_retry,
    )
    def pets(**texts: str) -> None:
        settings = parameters.read(texts)
        step = make_step(settings)
        connect(step, settings)
        step.finish()

    return pets
