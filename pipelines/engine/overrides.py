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

HELP, SWEEP, SHOW = {"-h", "--help"}, {"-m", "--multirun"}, {"-c", "--cfg"}
SHOWN = ("job", "hydra", "all")
# Of Hydra itself: who launches trials, and where a run's folder is; the rest would break a run.
LAUNCHER, JOBS = "hydra/launcher", "hydra.launcher.n_jobs"
HYDRA = {name: Parameter(name, str) for name in ("hydra.run.dir", "hydra.sweep.dir")}
HYDRA[JOBS] = Parameter(JOBS, int, at_least=1)
GENERATORS = re.compile(r"(choice|range|glob|interval|shuffle|sort)\(.*\)")
NUMBER = re.compile(r"\s*[-+]?[0-9][\w.+-]*\s*", re.ASCII)


@dataclass
class Line:
    """A command line: what is asked for, and each setting as it was typed."""

    flags: list[str] = field(default_factory=list)  # Hydra's
    given: dict[str, str] = field(default_factory=dict)  # by the name of a parameter or group
    about: list[str] | None = None  # the words after --help
    is_sweep: bool = False


def understand(arguments: list[str], takes_flags: bool = False) -> Line:
    """The parts of a command line; `BadInput` for what is no part of one.

    `takes_flags` allows Hydra's flags for a sweep and for printing the configuration.
    """
    if HELP & set(arguments):
        return Line(about=[one.partition("=")[0] for one in arguments if one not in HELP])
    line, rest = Line(), iter(arguments)
    for argument in rest:
        flag, equals, text = argument.partition("=")
        if takes_flags and argument in SWEEP | {"--resolve"}:
            line.is_sweep |= argument in SWEEP
            line.flags.append(argument)
        elif takes_flags and flag in SHOW:
            line.flags += [flag, text if equals else next(rest, "")]
            if line.flags[-1] not in SHOWN:
                told = " ".join(line.flags[-2:]).strip()
                raise BadInput(f"{told}: expected one of {', '.join(SHOWN)}")
        elif argument.startswith("-"):
            raise BadInput(f"{flag}: there is no such option; see --help")
        elif argument.startswith("~"):
            raise BadInput(f"{argument}: nothing can be taken away; set it to another value")
        elif not equals or not flag.strip("+"):
            raise BadInput(f"{argument}: expected name=value; see --help for the names")
        elif takes_flags and text != text.encode("utf-8", "replace").decode():
            raise BadInput(f"{argument}: is no UTF-8, which a configuration has to be; rename it")
        else:
            line.given[flag.lstrip("+")] = text
    shows = SHOW & set(line.flags)
    if line.is_sweep and shows:
        raise BadInput("-m: does not go with --cfg; leave one of them out")
    if "--resolve" in line.flags and not shows:
        raise BadInput("--resolve: goes with --cfg job")
    return line


def for_hydra(
    line: Line, known: Mapping[str, Parameter], groups: Mapping[str, list[str]]
) -> list[str]:
    """The settings in Hydra's language; `BadInput` names the one that does not fit."""
    if JOBS in line.given and line.given.get(LAUNCHER) != "joblib":
        raise BadInput(f"{JOBS}={line.given[JOBS]}: needs {LAUNCHER}=joblib")
    spelled = []
    for name, text in line.given.items():
        if name not in known and name not in groups:
            raise unknown_name(name, {**known, **dict.fromkeys(groups)})
        values = split_list(text) if line.is_sweep else [text]
        if name in groups:
            if wrong := [value for value in values if value not in groups[name]]:
                choices = ", ".join(groups[name])
                raise BadInput(f"{name}={wrong[0]}: expected one of {choices}")
        elif line.is_sweep and GENERATORS.fullmatch(text):
            _check(name, text)
        elif len(values) > 1:  # a trial with a value that does not fit fails alone
            text = ",".join(_typed(unquoted(value), known[name]) for value in values)
        else:
            text = _spelled(name, unquoted(text), known[name])
        spelled.append(f"{name}={text}")
    return spelled


def _spelled(name: str, text: str, known: Parameter) -> str:
    """One value; checked, unless it refers to others."""
    if "${" in text:
        return quoted(text)
    value = known.parse(text, name)
    return _typed(text, known) if known.type in (int, float) else _literal(value)


def _typed(text: str, known: Parameter) -> str:
    is_number = known.type in (int, float) and NUMBER.fullmatch(text)
    return text.strip() if is_number else quoted(text)


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_literal, value))}]"
    return quoted(value) if isinstance(value, str) else to_text(value)


def _check(name: str, text: str) -> None:
    """`BadInput` for what is in Hydra's own language, but wrong."""
    try:
        OverridesParser.create().parse_override(f"{name}={text}")
    except HydraException:
        raise BadInput(f"{name}={text}: Hydra can't read this value") from None
