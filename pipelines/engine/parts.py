"""A preprocess stage whose work several steps share: `preprocess.shards` of them at a time."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from components.runtime.source import source_hash
from components.runtime.step import DEPENDENCIES
from pipelines.engine.fingerprint import Dependencies

if TYPE_CHECKING:
    from pipelines.engine.server import ServerSteps

log = logging.getLogger(__name__)

PART = "preprocess_part"
SHARED = "preprocess"  # the stage, whose queue, image and limits are those of its parts
SOURCE = "components/preprocess/part.py"
LIKE_ITS_STAGE = ("queue", "task_overrides")


def make_parts(steps: ServerSteps, wanted: Dependencies, arguments: dict[str, str]) -> list[str]:
    """The references of all parts; those that an earlier run left are not made again.

    `StepFailed` when one fails, after the others have ended: they are there for the next run.
    """
    described = [_part(wanted, number, steps.shards) for number in range(steps.shards)]
    look = steps.run.cache and SHARED not in steps.run.force
    found = [steps.find(one) if look else None for one in described]
    for number, record in enumerate(found):
        told = f"reused from run {record.run}" if record else "runs"
        log.info("%-10s part %d of %d %s", SHARED, number + 1, steps.shards, told)
    from components.preprocess.part import preprocess_part  # here, as it joins the graph at once

    missing = [one for one, record in zip(described, found, strict=True) if not record]
    nodes = _nodes(steps.pipeline.get_pipeline_dag(), missing)
    calls = [
        preprocess_part(**arguments, part=one.inputs["part"], fingerprint=one.fingerprint)
        for one in missing
    ]
    made = iter(_outcomes(steps.outcome, nodes, calls))
    return [record.reference if record else next(made) for record in found]


def _part(stage: Dependencies, number: int, count: int) -> Dependencies:
    """What a part depends on: what its stage does, and which share of the work it is."""
    return dataclasses.replace(
        stage,
        stage=PART,
        parameters=stage.parameters | {"shards": str(count)},
        inputs=stage.inputs | {"part": str(number)},
        source=stage.source | {SOURCE: source_hash(SOURCE)},
    )


def _nodes(dag: dict[str, Any], parts: list[Dependencies]) -> list[Any]:
    """A node for each part, under the names that ClearML gives to repeated calls.

    It would copy the first node at the second call, when the first is perhaps being launched.
    """
    template = dag[PART].copy()
    nodes = []
    for place, part in enumerate(parts):
        node = template.copy()
        node.name = f"{PART}_{place}" if place else PART
        node.configurations = {DEPENDENCIES: dataclasses.asdict(part)}
        node.cache_executed_step = False  # we have looked
        for name in LIKE_ITS_STAGE:
            setattr(node, name, getattr(dag[SHARED], name))
        dag[node.name] = node
        nodes.append(node)
    return nodes


def _outcomes(outcome: Callable[[Any, Any], str], nodes: list[Any], calls: list[Any]) -> list[str]:
    """The reference of each part; the first failure is raised when all have ended."""
    made: list[str] = []
    failures = []
    for node, call in zip(nodes, calls, strict=True):
        try:
            made.append(outcome(node, call))
        except RuntimeError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
    return made
