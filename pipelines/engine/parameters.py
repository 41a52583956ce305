"""Every parameter by its one name: `train.epochs` in YAML, `train/epochs` on ClearML.

Hydra composes the values; from there on they are flat text, which `read` turns into typed settings
wherever the driver runs: on a laptop or on an agent after an edit in the web UI.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
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
    unmet,
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
    project: str = parameter(only_with="mode=local|queue")
    """ClearML project of the pipeline, its datasets and its models."""
    outputs: str = parameter()
    """Folder for everything that a run leaves on this machine."""
    cache: bool = parameter(form=True)
    """Reuse the output of a stage when nothing that it depends on changed."""
    plan: bool = parameter()
    """Only tell which stages would run, and why."""
    idle_queues: bool = parameter(only_with="mode=queue")
    """Enqueue even if no worker serves a queue now."""
    unpushed: bool = parameter(only_with="mode=queue")
    """Enqueue even if this checkout has changes that the agents can't fetch."""

    @property
    def folder(self) -> Path:
        """`outputs` as a whole path."""
        return Path(self.outputs).expanduser().resolve()


@dataclass(frozen=True)
class _Each:
    """A setting that every stage has: its type, default, and help line."""

    type: Any
    default: Any
    help: str
    limits: Mapping[str, Any]


QUEUED = {"only_with": "mode=queue"}
AS_TASKS = {"only_with": "mode=local|queue"}
RETRIES = {"at_least": 0, "at_most": 10}
EACH_STAGE = {
    "queues": _Each(str, None, "Queue of the {} step.", {"form": True, **QUEUED}),
    "images": _Each(str | None, None, "Container of the {} step; null: the agent's.", QUEUED),
    "container_arguments": _Each(str | None, None, "Its arguments, for the {} step.", QUEUED),
    "retries": _Each(int, 1, "Further tries of the {} step.", AS_TASKS | RETRIES),
    "time_limits": _Each(
        float | None, None, "Minutes after which the {} step is stopped.", AS_TASKS | {"above": 0}
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
            inner.insert(0, ("controller", str, parameter(form=True, told=told, **QUEUED)))
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
        """Hydra composes those of the pipeline that was made last."""
        self.stages = stages
        own = {name: stage for name, stage in stages.items() if not stage.settings_of}
        self.groups: dict[str, type] = {name: stage.schema for name, stage in own.items()}
        self.groups[RUN] = run_schema(stages)
        self.config = make_dataclass("Config", list(self.groups.items()))
        self._options = [{name: stage.option} for name, stage in own.items()]
        self._each_stage = run_defaults(stages)
        self.tell_hydra()

    def tell_hydra(self) -> None:
        """Which groups there are, and the values that each stage has of `run`."""
        store = ConfigStore.instance()
        store.store(name="stages", node=OmegaConf.create({"defaults": self._options}))
        store.store(group=RUN, name="each_stage", node=OmegaConf.create(self._each_stage))

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
                group: self._meant(group, parse(schema, by_group[group], group))
                for group, schema in self.groups.items()
            }
        )

    def _meant(self, group: str, settings: Any) -> Any:
        return self.stages[group].meant(settings) if group in self.stages else settings

    def texts_of(self, config: Any) -> dict[str, str]:
        """The texts that `read` turns back into `config`."""
        return {
            f"{group}/{name.replace('.', '/')}": text
            for group in self.groups
            for name, text in to_texts(getattr(config, group)).items()
        }

    def completed(self, texts: Mapping[str, str], config: Any) -> dict[str, str]:
        """By dotted name, what a stage's `meant` made another value of."""
        given, made = dotted(texts), dotted(self.texts_of(config))
        return {
            name: text
            for name, text in made.items()
            if to_text(self.known[name].parse(given[name], name)) != text
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

    def check_effect(self, config: Any, names: Iterable[str], strict: bool) -> list[str]:
        """A line on each of the parameters that this run does not heed.

        If `strict`, `BadInput` where it names what a person believes to get, such as a path.
        """
        texts = dotted(self.texts_of(config))
        lines = []
        for name in filter(self.known.__contains__, names):
            group, known = name.partition(".")[0], self.known[name]
            ours = texts | {other.removeprefix(f"{group}."): t for other, t in texts.items()}
            because = self._left_out(group, config.run)
            if not because and (other := unmet(known.only_with, ours)):
                full = other if other in texts else f"{group}.{other}"
                because = f"{full}={texts[full]}, only with {known.only_with}"
            if because and texts[name] != "null":
                lines.append(f"{name}={texts[name]} has no effect with {because}")
                if strict and known.is_text and group != RUN:
                    raise BadInput(f"{lines[-1]}; leave one of them out")
        return lines

    def _left_out(self, group: str, run: Any) -> str:
        """The parameter of `run` for which a stage has nothing to do; empty if it has."""
        stage = self.stages.get(group)
        if stage is None:
            return ""
        for name in filter(None, (stage.given_by, stage.needless_with)):
            if (value := getattr(run, name)) is not None:
                return f"{RUN}.{name}={value}"
        return "" if group in run.stages else f"{RUN}.stages={to_text(run.stages)}"


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Texts by ClearML name (`train/epochs`) of a nested configuration."""
    texts: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            texts |= flatten(value, f"{prefix}{key}/")
        else:
            texts[f"{prefix}{key}"] = to_text(value)
    return texts


def dotted(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts by the names of the command line instead of ClearML's."""
    return {name.replace("/", "."): text for name, text in texts.items()}


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
