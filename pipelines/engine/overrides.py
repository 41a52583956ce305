"""What a person typed after a command, taken as it stands, and how Hydra has to be told it.

Hydra's own language has a meaning for spaces, quotes, commas, `=`, `(` and `~` in a value; here a
value is what the shell passes on, and only a sweep splits it at commas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from components.runtime.schema import (
    BadInput,
    Parameter,
    quoted,
    split_list,
    to_text,
    unknown_name,
    unquoted,
)

HELP = {"-h", "--help"}
SWEEP = {"-m", "--multirun"}
SHOW = {"-c", "--cfg"}
SHOWN = ("job", "hydra", "all")
# Of Hydra itself: who launches trials, and where a run's folder is; the rest would break a run.
LAUNCHER, JOBS = "hydra/launcher", "hydra.launcher.n_jobs"
HYDRA_GROUPS = {LAUNCHER: ["basic", "joblib"]}
HYDRA = {
    JOBS: Parameter(JOBS, int, at_least=1, told="Trials at a time, with hydra/launcher=joblib."),
    "hydra.run.dir": Parameter("hydra.run.dir", str, told="Folder of the run."),
    "hydra.sweep.dir": Parameter("hydra.sweep.dir", str, told="Folder of the sweep."),
}
GENERATORS = re.compile(r"(choice|range|glob|interval|shuffle|sort|tag|extend_list)\(.*\)")
NUMBER = re.compile(r"[-+]?[0-9][\w.+-]*", re.ASCII)
HOW_TO_QUOTE = "a value with a comma in quotes inside quotes, such as \"ingest.path='a,b'\""


@dataclass
class Line:
    """A command line: what is asked for, and each setting as it was typed."""

    wants_help: bool = False
    words: list[str] = field(default_factory=list)  # after --help: what it is about
    takes_flags: bool = False
    is_sweep: bool = False
    shows: list[str] = field(default_factory=list)  # Hydra's flags to print the configuration
    given: dict[str, str] = field(default_factory=dict)  # by the name of a parameter or group
    told: list[str] = field(default_factory=list)  # what a person should know of it

    @property
    def flags(self) -> list[str]:
        """Those of Hydra."""
        return [*self.shows, *(["-m"] if self.is_sweep else [])]


def understand(arguments: list[str], takes_flags: bool = False) -> Line:
    """The parts of a command line; `BadInput` for what is no part of one.

    `takes_flags` allows Hydra's flags for a sweep and for printing the configuration.
    """
    line = Line(wants_help=bool(HELP & set(arguments)), takes_flags=takes_flags)
    rest = iter(arguments)
    for argument in rest:
        flag, equals, text = argument.partition("=")
        if takes_flags and argument != argument.encode("utf-8", "replace").decode():
            raise BadInput(f"{argument}: is no UTF-8, which a configuration has to be; rename it")
        if argument in HELP:
            continue
        if line.wants_help:
            line.words.append(flag)
        elif takes_flags and argument in SWEEP:
            line.is_sweep = True
        elif takes_flags and argument == "--resolve":
            line.shows.append(argument)
        elif takes_flags and flag in SHOW:
            shown = text if equals else next(rest, "")
            if shown not in SHOWN:
                raise BadInput(f"{f'{flag} {shown}'.strip()}: expected one of {', '.join(SHOWN)}")
            line.shows += [flag, shown]
        elif argument.startswith("-"):
            raise BadInput(f"{flag}: there is no such option; see --help")
        elif argument.startswith("~"):
            raise BadInput(f"{argument}: nothing can be taken away; set it to another value")
        elif not equals or not flag.strip("+"):
            raise BadInput(f"{argument}: expected name=value; see --help for the names")
        else:
            line.given[flag.lstrip("+")] = text
    if line.shows == ["--resolve"]:
        raise BadInput("--resolve: goes with --cfg job")
    return line


def for_hydra(
    line: Line, known: Mapping[str, Parameter], groups: Mapping[str, list[str]]
) -> list[str]:
    """The settings in Hydra's language; `BadInput` names the one that does not fit."""
    if line.takes_flags:
        known, groups = {**known, **HYDRA}, {**groups, **HYDRA_GROUPS}
    if JOBS in line.given and line.given.get(LAUNCHER) != "joblib":
        raise BadInput(f"{JOBS}={line.given[JOBS]}: needs {LAUNCHER}=joblib")
    spelled = []
    for name, text in line.given.items():
        if name in known:
            value = _values(line, name, text, known[name])
        elif name in groups:
            value = _options(line, name, text, groups[name])
        else:
            raise unknown_name(name, {**known, **dict.fromkeys(groups)})
        spelled.append(f"{name}={value}")
    return spelled


def _values(line: Line, name: str, text: str, known: Parameter) -> str:
    if not line.is_sweep:
        return _spelled(name, text, known)
    if GENERATORS.fullmatch(text):
        return _checked(name, text)
    values = split_list(text)
    if len(values) == 1:
        return _spelled(name, text, known)
    if known.is_text:
        line.told.append(f"{name}: {len(values)} values; {HOW_TO_QUOTE}")
    return ",".join(_as_typed(unquoted(value), known) for value in values)


def _spelled(name: str, text: str, known: Parameter) -> str:
    """One value; checked, unless it refers to others."""
    plain = unquoted(text)
    if "${" in plain:
        return quoted(plain)
    value = known.parse(plain, name)
    return _as_typed(plain, known) if known.type in (int, float) else _literal(value)


def _as_typed(text: str, known: Parameter) -> str:
    """A value of a sweep may be a wrong one: its trial fails alone."""
    is_number = known.type in (int, float) and NUMBER.fullmatch(text.strip())
    return text.strip() if is_number else quoted(text)


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_literal, value))}]"
    return quoted(value) if isinstance(value, str) else to_text(value)


def _options(line: Line, name: str, text: str, options: list[str]) -> str:
    for option in split_list(text) if line.is_sweep else [text]:
        if option not in options:
            raise BadInput(f"{name}={option}: expected one of {', '.join(options)}")
    return text


def _checked(name: str, text: str) -> str:
    """What is in Hydra's own language."""
    try:
        OverridesParser.create().parse_override(f"{name}={text}")
    except HydraException:
        raise BadInput(f"{name}={text}: Hydra can't read this value") from None
    return text
