"""Every parameter by its one name: `train.epochs` in YAML, `train/epochs` on ClearML.

Hydra composes the values; from there on they are flat text, which `read` turns into typed settings
wherever the driver runs: on a laptop or on an agent after an edit in the web UI.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

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

CONF = Path(__file__).parents[2] / "conf"
FORM = "Args"  # the section of a task's parameters that the NEW RUN form shows
ADVANCED = "Advanced"  # the section for what is rarely changed
RUN = "run"


@dataclass
class Run:
    """How a run goes, as opposed to what it computes; `run_schema` adds what each stage has."""

    mode: str = parameter(choices=("offline", "local", "queue"))
    """Where the steps run: here without a server, here as ClearML tasks, or on agents."""
    project: str = parameter()
    """ClearML project of the pipeline, its datasets and its models."""
    outputs: str = parameter()
    """Folder for everything that a run leaves on this machine."""
    cache: bool = parameter(form=True)
    """Reuse the output of a stage when nothing that it depends on changed."""
    plan: bool = parameter()
    """Only tell which stages would run, and why."""
    idle_queues: bool = parameter()
    """Enqueue even if no worker serves a queue now."""
    unpushed: bool = parameter()
    """Enqueue even if this checkout has changes that the agents can't fetch."""


@dataclass(frozen=True)
class _Each:
    """A setting that every stage has: its type, default, and help line."""

    type: Any
    default: Any
    help: str
    limits: Mapping[str, Any]


EACH_STAGE = {
    "queues": _Each(str, None, "Queue of the {} step.", {"form": True}),
    "images": _Each(str | None, None, "Container of the {} step; null: the agent's.", {}),
    "container_arguments": _Each(str | None, None, "Its arguments, for the {} step.", {}),
    "retries": _Each(int, 1, "Further tries of the {} step.", {"at_least": 0, "at_most": 10}),
    "time_limits": _Each(
        float | None, None, "Minutes after which the {} step is stopped.", {"above": 0}
    ),
}
CONTROLLER_QUEUE = "services"


def run_schema(stages: Mapping[str, Any]) -> type[Run]:
    """`Run` with the settings of each stage of the table."""
    names = tuple(stages)
    fields: list[tuple[str, Any, Any]] = [
        ("stages", list[str], parameter(choices=names, told="The stages to run.")),
        ("force", list[str], parameter(choices=names, told="Stages to run in any case.")),
    ]
    for given in filter(None, (stage.given_by for stage in stages.values())):
        told = f"Start from this {given}: a reference, or latest."
        fields.append((given, str | None, parameter(form=True, told=told)))
    for setting, each in EACH_STAGE.items():
        inner = [
            (name, each.type, parameter(told=each.help.format(name), **each.limits))
            for name in names
        ]
        if setting == "queues":
            told = "Queue of the pipeline itself; never one that its steps need a worker of."
            inner.insert(0, ("controller", str, parameter(form=True, told=told)))
        fields.append(
            (setting, make_dataclass(setting.title().replace("_", ""), inner), parameter())
        )
    return make_dataclass("Run", fields, bases=(Run,))


def run_defaults(stages: Mapping[str, Any]) -> dict[str, Any]:
    """The values of what `run_schema` adds, as conf/ would have them."""
    values: dict[str, Any] = {"stages": list(stages), "force": []}
    values |= {stage.given_by: None for stage in stages.values() if stage.given_by}
    for setting, each in EACH_STAGE.items():
        values[setting] = dict.fromkeys(stages, each.default)
    queues = {name: stage.queue for name, stage in stages.items()}
    return values | {"queues": {"controller": CONTROLLER_QUEUE, **queues}}


class Parameters:
    """The parameters of a run of a table of stages: one group a stage, and `run`."""

    def __init__(self, stages: Mapping[str, Any]) -> None:
        """Also tells Hydra which groups there are, and the values that each stage has of `run`."""
        self.stages = tuple(stages)
        self.groups: dict[str, type] = {name: stage.schema for name, stage in stages.items()}
        self.groups[RUN] = run_schema(stages)
        self.config = make_dataclass("Config", list(self.groups.items()))
        store = ConfigStore.instance()
        options = [{name: stage.option} for name, stage in stages.items()]
        store.store(name="stages", node=OmegaConf.create({"defaults": options}))
        store.store(group=RUN, name="each_stage", node=OmegaConf.create(run_defaults(stages)))

    @functools.cached_property
    def known(self) -> dict[str, Parameter]:
        """Every parameter by its dotted name, in the order of the stages."""
        return {
            f"{group}.{name}": known
            for group, schema in self.groups.items()
            for name, known in parameters_of(schema).items()
        }

    def read(self, texts: Mapping[str, str]) -> Any:
        """Typed settings from texts by ClearML name: one attribute a group.

        `BadInput` names the parameter that is wrong.
        """
        by_group: dict[str, dict[str, str]] = {group: {} for group in self.groups}
        for name, text in texts.items():
            group, _, rest = name.partition("/")
            if group not in self.groups or not rest:
                raise unknown_name(name.replace("/", "."), self.known)
            by_group[group][rest.replace("/", ".")] = text
        return self.config(
            **{
                group: parse(schema, by_group[group], group)
                for group, schema in self.groups.items()
            }
        )

    def texts_of(self, config: Any) -> dict[str, str]:
        """The texts that `read` turns back into `config`."""
        return {
            f"{group}/{name.replace('.', '/')}": text
            for group in self.groups
            for name, text in to_texts(getattr(config, group)).items()
        }

    def defaults(self, *overrides: str) -> dict[str, str]:
        """The texts of conf/ for each parameter, with these overrides."""
        within = GlobalHydra.instance().is_initialized()  # in a run, not in another command
        with nullcontext() if within else initialize_config_dir(str(CONF), version_base="1.3"):
            nested = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
        nested.pop("rerun")
        return flatten(nested)

    def advanced_names(self) -> list[str]:
        """The ClearML names of the parameters that the NEW RUN form leaves out."""
        return [name.replace(".", "/") for name, known in self.known.items() if not known.form]

    def by_section(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts under the names that a task keeps them by: `Args/train/epochs`."""
        advanced = set(self.advanced_names())
        return {
            f"{ADVANCED if name in advanced else FORM}/{name}": text for name, text in texts.items()
        }

    def help_text(self, about: str, usage: str) -> str:
        """What `--help` prints: groups with their options, then every parameter with its help."""
        lines = [about, "", usage, "", "Groups (group=option):"]
        lines += [f"  {group} = {' | '.join(names)}" for group, names in options().items()]
        lines += ["", "Parameters (stage.parameter=value):"]
        for name, known in self.known.items():
            lines += [f"  {name}: {known.domain}", f"      {known.help}"]
        lines += [
            "",
            "--cfg job   print the composed configuration and stop",
            "-m          one run for each combination of comma-separated values",
        ]
        return "\n".join(lines)

    def explain(self, overrides: list[str], problem: str) -> BadInput:
        """The one line for a configuration that Hydra refuses with the message `problem`."""
        groups = options()
        for override in overrides:
            key, equals, text = override.lstrip("+~").partition("=")
            if not equals or key.startswith("hydra"):
                continue
            if key in groups:
                for option in text.split(","):
                    if option not in groups[key]:
                        return BadInput(f"{key}={option}: expected one of {', '.join(groups[key])}")
            elif key not in self.known:
                return unknown_name(key, self.known | dict.fromkeys(groups))
            else:
                try:
                    self.known[key].parse(text.strip("'\""), key)
                except BadInput as error:
                    return error
        return BadInput(" ".join(problem.split()))


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Texts by ClearML name (`train/epochs`) of a nested configuration."""
    texts: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            texts |= flatten(value, f"{prefix}{key}/")
        else:
            texts[f"{prefix}{key}"] = to_text(value)
    return texts


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
