"""The search space of an optimization, in words: `train.learning_rate log 1e-4 1e-1`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.runtime.schema import BadInput, Parameter, parameters_of, to_text, unknown_name
from pipelines.engine.pipeline import Stage

if TYPE_CHECKING:
    from clearml.automation.parameters import Parameter as Range

KINDS = "log LOW HIGH, uniform LOW HIGH, or choice VALUE VALUE ..."


@dataclass(frozen=True)
class Dimension:
    """A parameter and the values that a trial may give it."""

    name: str  # without its stage
    kind: str  # log, uniform or choice
    values: tuple[str, ...]  # the two bounds, or the choices
    is_integer: bool

    @property
    def argument(self) -> str:
        """What the parameter is called on a step's task."""
        return f"kwargs/{self.name}"

    def range(self) -> Range:
        """As ClearML's optimizer takes it."""
        from clearml.automation import parameters as ranges

        if self.kind == "choice":
            return ranges.DiscreteParameterRange(self.argument, values=list(self.values))
        low, high = (float(value) for value in self.values)
        if self.is_integer:
            return ranges.UniformIntegerParameterRange(self.argument, int(low), int(high))
        if self.kind == "uniform":
            return ranges.UniformParameterRange(self.argument, low, high)
        return ranges.LogUniformParameterRange(self.argument, math.log10(low), math.log10(high))


def read(lines: list[str], stage: Stage) -> list[Dimension]:
    """The dimensions; `BadInput` names the parameter whose line is wrong."""
    if not lines:
        raise BadInput("space=[]: name at least one parameter, such as train.dropout uniform 0 0.5")
    dimensions = [_dimension(line, stage) for line in lines]
    names = [dimension.name for dimension in dimensions]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"space: {stage.name}.{name} is there twice; keep one of them")
    return dimensions


def _dimension(line: str, stage: Stage) -> Dimension:
    full, *rest = line.split()
    known = {f"{stage.name}.{name}": one for name, one in parameters_of(stage.schema).items()}
    if full not in known:
        raise BadInput(f"space: {unknown_name(full, known)}")
    parameter, kind, texts = known[full], rest[0] if rest else "", rest[1:]
    try:
        values = tuple(to_text(parameter.parse(text, full)) for text in texts)
    except BadInput as error:
        raise BadInput(f"space: {error}") from None
    if kind == "choice" and values:
        return Dimension(parameter.name, kind, values, is_integer=False)
    if kind in ("log", "uniform") and len(values) == 2:
        _check_bounds(parameter, full, kind, values)
        return Dimension(parameter.name, kind, values, parameter.type is int)
    raise BadInput(f"space: {line}: expected {full} and then {KINDS}")


def _check_bounds(parameter: Parameter, full: str, kind: str, values: tuple[str, ...]) -> None:
    told = f"space: {full} {kind} {' '.join(values)}"
    if parameter.type not in (int, float) or "null" in values:
        raise BadInput(f"{told}: it is no range of numbers; list its values with choice")
    if kind == "log" and parameter.type is int:
        raise BadInput(f"{told}: whole numbers have no log scale here; list them with choice")
    low, high = (float(value) for value in values)
    if low >= high or (kind == "log" and low <= 0):
        least = "0 < LOW < HIGH" if kind == "log" else "LOW < HIGH"
        raise BadInput(f"{told}: expected {least}")
