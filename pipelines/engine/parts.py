"""A stage whose work several steps share: as many at a time as its parameter `parts` says."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

from components.runtime.source import source_hash
from pipelines.engine.fingerprint import Dependencies
from pipelines.engine.pipeline import Stage

log = logging.getLogger(__name__)

COUNT = "parts"  # the parameter that says how many
LIKE_ITS_STAGE = ("queue", "task_overrides")


def make_parts(
    steps: Any, stage: Stage, wanted: Dependencies, arguments: dict[str, str]
) -> list[str]:
    """The references of all parts; `ServerSteps` finds those that an earlier run left.

    `StepFailed` when one fails, after the others have ended: they are there for the next run.
    """
    count = int(arguments[COUNT])
    described = [_part(stage, wanted, number, count) for number in range(count)]
    look = steps.run.cache and stage.name not in steps.run.force
    found = [steps.find(one) if look else None for one in described]
    for number, record in enumerate(found):
        told = f"reused from run {record.run}" if record else "runs"
        log.info("%-10s part %d of %d %s", stage.name, number + 1, count, told)
    component = stage.part_component  # here, as it joins the graph at once

    missing = [one for one, record in zip(described, found, strict=True) if not record]
    nodes = _nodes(steps, stage, missing, arguments)
    calls = [
        component(**arguments, part=one.inputs["part"], fingerprint=one.fingerprint)
        for one in missing
    ]
    made = iter(_outcomes(steps.outcome, nodes, calls))
    return [record.reference if record else next(made) for record in found]


def _part(stage: Stage, wanted: Dependencies, number: int, count: int) -> Dependencies:
    """What a part depends on: what its stage does, and which share of the work it is."""
    source = f"components/{stage.name}/part.py"
    return dataclasses.replace(
        wanted,
        stage=stage.part_name,
        parameters=wanted.parameters | {COUNT: str(count)},
        inputs=wanted.inputs | {"part": str(number)},
        source=wanted.source | {source: source_hash(source)},
    )


def _nodes(
    steps: Any, stage: Stage, parts: list[Dependencies], arguments: dict[str, str]
) -> list[Any]:
    """A node for each part, under the names that ClearML gives to repeated calls.

    It would copy the first node at the second call, when the first is perhaps being launched.
    """
    dag = steps.graph
    template = dag[stage.part_name].copy()
    nodes = []
    for place, part in enumerate(parts):
        node = template.copy()
        node.name = f"{stage.part_name}_{place}" if place else stage.part_name
        steps.describe(node, part, arguments)
        for name in LIKE_ITS_STAGE:
            setattr(node, name, getattr(dag[stage.name], name))
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
