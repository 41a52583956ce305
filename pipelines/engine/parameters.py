"""Every parameter by its one name: `train.epochs` in YAML, `train/epochs` on ClearML.

Hydra composes the values; from there on they are flat text, which `read` turns into typed settings
wherever the driver runs: on a laptop or on an agent after an edit in the web UI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.evaluate.parameters import Evaluate
from components.ingest.parameters import Ingest
from components.preprocess.parameters import Preprocess
from components.runtime.schema import (
    BadInput,
    Parameter,
    parameter,
    parameters_of,
    parse,
    to_text,
    to_texts,
    unknown_name,
)
from components.train.parameters import Train

CONF = Path(__file__).parents[2] / "conf"
FORM = "Args"  # the section of a task's parameters that the NEW RUN form shows
ADVANCED = "Advanced"  # the section for what is rarely changed
STAGES = ("ingest", "preprocess", "train", "evaluate")


@dataclass
class Queues:
    """Names of ClearML queues, for `run=queue`."""

    controller: str = parameter(form=True)
    """Queue of the pipeline itself; never one that its steps need a worker of."""
    ingest: str = parameter(form=True)
    """Queue of the ingest step."""
    preprocess: str = parameter(form=True)
    """Queue of the preprocess step."""
    train: str = parameter(form=True)
    """Queue of the train step."""
    evaluate: str = parameter(form=True)
    """Queue of the evaluate step."""


@dataclass
class Texts:
    """A setting for each stage; null leaves it to the agent."""

    ingest: str | None = parameter()
    """For the ingest step; null leaves it to the agent."""
    preprocess: str | None = parameter()
    """For the preprocess step; null leaves it to the agent."""
    train: str | None = parameter()
    """For the train step; null leaves it to the agent."""
    evaluate: str | None = parameter()
    """For the evaluate step; null leaves it to the agent."""


@dataclass
class Retries:
    """How often a failed step is tried again."""

    ingest: int = parameter(at_least=0, at_most=10)
    """Further attempts when the ingest step fails."""
    preprocess: int = parameter(at_least=0, at_most=10)
    """Further attempts when the preprocess step fails."""
    train: int = parameter(at_least=0, at_most=10)
    """Further attempts when the train step fails."""
    evaluate: int = parameter(at_least=0, at_most=10)
    """Further attempts when the evaluate step fails."""


@dataclass
class TimeLimits:
    """Minutes after which a running step is stopped."""

    ingest: float | None = parameter(above=0)
    """Minutes for the ingest step; null for no limit."""
    preprocess: float | None = parameter(above=0)
    """Minutes for the preprocess step; null for no limit."""
    train: float | None = parameter(above=0)
    """Minutes for the train step; null for no limit."""
    evaluate: float | None = parameter(above=0)
    """Minutes for the evaluate step; null for no limit."""


@dataclass
class Run:
    """How a run goes, as opposed to what it computes."""

    mode: str = parameter(choices=("offline", "local", "queue"))
    """Where the steps run: here without a server, here as ClearML tasks, or on agents."""
    project: str = parameter()
    """ClearML project of the pipeline, its datasets and its models."""
    outputs: str = parameter()
    """Folder for everything that a run leaves on this machine."""
    stages: list[str] = parameter(choices=STAGES)
    """The stages to run."""
    dataset: str | None = parameter(form=True)
    """Start from this dataset: a reference, or latest."""
    model: str | None = parameter(form=True)
    """Start from this model: a reference, or latest."""
    cache: bool = parameter(form=True)
    """Reuse the output of a stage when nothing that it depends on changed."""
    force: list[str] = parameter(choices=STAGES)
    """Stages to run in any case."""
    plan: bool = parameter()
    """Only tell which stages would run, and why."""
    queues: Queues = parameter()
    images: Texts = parameter()
    container_arguments: Texts = parameter()
    retries: Retries = parameter()
    time_limits: TimeLimits = parameter()
    idle_queues: bool = parameter()
    """Enqueue even if no worker serves a queue now."""
    unpushed: bool = parameter()
    """Enqueue even if this checkout has changes that the agents can't fetch."""


@dataclass
class Config:
    """The settings of a run: one group a stage, and `run`."""

    ingest: Ingest
    preprocess: Preprocess
    train: Train
    evaluate: Evaluate
    run: Run


def stage_of(step: str) -> str:
    """The stage that a step, by its name on ClearML, belongs to: `preprocess_part_1` has parts."""
    return next(stage for stage in STAGES if step.startswith(stage))


def all_parameters() -> dict[str, Parameter]:
    """Every parameter by its dotted name, in the order of the stages."""
    return {
        f"{group}.{name}": known
        for group, schema in _groups().items()
        for name, known in parameters_of(schema).items()
    }


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Texts by ClearML name (`train/epochs`) of a nested configuration."""
    texts: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            texts |= flatten(value, f"{prefix}{key}/")
        else:
            texts[f"{prefix}{key}"] = to_text(value)
    return texts


def read(texts: Mapping[str, str]) -> Config:
    """Typed settings from texts by ClearML name; `BadInput` names the parameter that is wrong."""
    groups = _groups()
    by_group: dict[str, dict[str, str]] = {group: {} for group in groups}
    for name, text in texts.items():
        group, _, rest = name.partition("/")
        if group not in groups or not rest:
            raise unknown_name(name.replace("/", "."), list(all_parameters()))
        by_group[group][rest.replace("/", ".")] = text
    return Config(**{group: parse(groups[group], by_group[group], group) for group in groups})


def texts_of(config: Config) -> dict[str, str]:
    """The texts that `read` turns back into `config`."""
    return {
        f"{group}/{name.replace('.', '/')}": text
        for group in _groups()
        for name, text in to_texts(getattr(config, group)).items()
    }


def advanced_names() -> list[str]:
    """The ClearML names of the parameters that the NEW RUN form leaves out."""
    return [name.replace(".", "/") for name, known in all_parameters().items() if not known.form]


def by_section(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts under the names that a task keeps them by: `Args/train/epochs`."""
    advanced = set(advanced_names())
    return {
        f"{ADVANCED if name in advanced else FORM}/{name}": text for name, text in texts.items()
    }


def from_sections(stored: Mapping[str, str]) -> dict[str, str]:
    """The texts of a task's parameters; what ClearML keeps beside them is left out."""
    split = ((name.partition("/"), text) for name, text in stored.items())
    return {name: text or "" for (section, _, name), text in split if section in (FORM, ADVANCED)}


def options() -> dict[str, list[str]]:
    """The options of every group of the configuration, from the folders below `conf/`."""
    found: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/**/*.yaml")):
        group = path.parent.relative_to(CONF).as_posix()
        found.setdefault(group, []).append(path.stem)
    return found


def help_text() -> str:
    """What `--help` prints: groups with their options, then every parameter with its help."""
    lines = [
        "Train and evaluate an image classifier: ingest -> preprocess -> train -> evaluate.",
        "",
        "usage: python pipelines/pets_pipeline.py [group=option ...] [stage.parameter=value ...]",
        "",
        "Groups (group=option):",
    ]
    lines += [f"  {group} = {' | '.join(names)}" for group, names in options().items()]
    lines += ["", "Parameters (stage.parameter=value):"]
    for name, known in all_parameters().items():
        lines += [f"  {name}: {known.domain}", f"      {known.help}"]
    lines += [
        "",
        "--cfg job   print the composed configuration and stop",
        "-m          one run for each combination of comma-separated values",
    ]
    return "\n".join(lines)


def explain(overrides: list[str], problem: str) -> BadInput:
    """The one line for a configuration that Hydra refuses with the message `problem`."""
    known = all_parameters()
    groups = options()
    for override in overrides:
        key, equals, text = override.lstrip("+~").partition("=")
        if not equals or key.startswith("hydra"):
            continue
        if key in groups:
            for option in text.split(","):
                if option not in groups[key]:
                    return BadInput(f"{key}={option}: expected one of {', '.join(groups[key])}")
        elif key not in known:
            return unknown_name(key, [*known, *groups])
        else:
            try:
                known[key].parse(text.strip("'\""), key)
            except BadInput as error:
                return error
    return BadInput(" ".join(problem.split()))


def _groups() -> dict[str, type]:
    """The dataclass of each group, in the order in which ClearML's form shows them."""
    return {
        "ingest": Ingest,
        "preprocess": Preprocess,
        "train": Train,
        "evaluate": Evaluate,
        "run": Run,
    }
