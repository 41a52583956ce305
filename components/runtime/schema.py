"""The typed schema of every parameter: declared once, as a field of a stage's dataclass.

A parameter travels as text (command line, ClearML task, step argument) and becomes a value only
here, so every way in has the same rules and the same errors. The text in the string literal under
a field is its help line; values live in `conf/`, so fields have no defaults.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import inspect
import itertools
import math
import operator
import re
import textwrap
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

INSTALL = "run make install, then source .venv/bin/activate"  # where a package is missing
TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
ITEM = re.compile(  # of a list, with the comma behind it
    r"""(\s*'(?:\\.|[^'\\])*'\s*(?=,)|\s*"(?:\\.|[^"\\])*"\s*(?=,)"""
    r"""|(?:\([^()]*\)|\[[^][]*\]|\{[^{}]*\}|[^,])*),""",
    re.DOTALL,
)
AMBIGUOUS = re.compile(r"[,'\"()\[\]{}]|^\s|\s\Z|^\Z")  # of a list's item, without quotes


class BadInput(ValueError):
    """A mistake of the user's, told in one line that names the parameter or file and what to do."""


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter; `name` is dotted below its stage, such as `queues.train`."""

    name: str
    type: type
    nullable: bool = False
    is_list: bool = False
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    form: bool = False
    affects_result: bool = True
    formerly: str = ""
    told: str = ""
    only_with: str = ""
    owner: type | None = None  # the dataclass whose source has the help line

    @property
    def help(self) -> str:
        """What it is for, in a line."""
        if self.told or self.owner is None:
            return self.told
        return _field_docs(self.owner).get(self.name.rpartition(".")[2], "")

    @property
    def is_text(self) -> bool:
        """Whether any text is a value: a name, a path or the like."""
        return self.type is str and not self.choices and not self.is_list

    @property
    def domain(self) -> str:
        """The accepted values in words, for errors and for `--help`."""
        if self.choices:
            words = "one of " + ", ".join(self.choices)
        else:
            words = {int: "an integer", float: "a number", bool: "true or false", str: "text"}[
                self.type
            ]
        if self.is_list:
            words = f"a list, each {words}"
        bounds = [
            f"{sign} {bound:g}"
            for sign, bound in ((">", self.above), (">=", self.at_least), ("<=", self.at_most))
            if bound is not None
        ]
        return (
            words
            + (" " + " and ".join(bounds) if bounds else "")
            + (" or null" if self.nullable else "")
        )

    def parse(self, text: str, full_name: str) -> Any:
        """The value that `text` spells; `BadInput` names `full_name` when it spells none."""
        try:
            return self._value(str(text) if self.is_text else str(text).strip())
        except ValueError:
            raise BadInput(f"{full_name}={text}: expected {self.domain}") from None

    def _value(self, text: str) -> Any:
        if self.nullable and text.strip().lower() in ("null", "none", ""):
            return None
        if not self.is_list:
            return self._scalar(text)
        if not (text.startswith("[") and text.endswith("]")):
            raise ValueError(text)
        return [self._scalar(unquoted(part)) for part in split_list(text[1:-1]) if part]

    def _scalar(self, text: str) -> Any:
        if "${" in text:  # ClearML would read it as a reference to another step
            raise ValueError(text)
        if self.type is bool:
            if text.lower() not in TRUE | FALSE:
                raise ValueError(text)
            return text.lower() in TRUE
        if self.type is str:
            value = text
            inside = not self.choices or value in self.choices
        else:
            value = self.type(text)
            inside = math.isfinite(value) and not (
                (self.at_least is not None and value < self.at_least)
                or (self.at_most is not None and value > self.at_most)
                or (self.above is not None and value <= self.above)
            )
        if not inside:
            raise ValueError(text)
        return value


def parameter(**known: Any) -> Any:
    """A dataclass field with what is `known` of it, as in `Parameter`: mostly its range.

    `form` shows it in the web UI's NEW RUN dialog. `affects_result=False` is for what changes how
    fast or where a step works, never what it makes: such a change does not run the step again.
    `formerly` is an earlier name, refused with the present one; `told` is the help line of a field
    that has no source to read it from. `only_with` is when the parameter has an effect, in the
    stage's own names or those of another group: "source=archive|table", "weights!=null and x!=0".
    """
    return dataclasses.field(metadata=known)


@functools.cache
def parameters_of(schema: type) -> dict[str, Parameter]:
    """Every parameter of a dataclass in the order of its fields, nested ones by dotted name."""
    hints = typing.get_type_hints(schema)
    found: dict[str, Parameter] = {}
    for field in dataclasses.fields(schema):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            for name, inner in parameters_of(hint).items():
                dotted = f"{field.name}.{name}"
                found[dotted] = dataclasses.replace(inner, name=dotted)
            continue
        nullable = is_list = False
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            hint, nullable = next(a for a in typing.get_args(hint) if a is not types.NoneType), True
        if typing.get_origin(hint) is list:
            hint, is_list = typing.get_args(hint)[0], True
        found[field.name] = Parameter(
            name=field.name,
            type=hint,
            nullable=nullable,
            is_list=is_list,
            owner=schema,
            **field.metadata,
        )
    return found


def parse(schema: type[T], texts: Mapping[str, str], stage: str = "") -> T:
    """An instance of `schema` from texts by dotted name; unknown and missing names are errors.

    Errors name a parameter as `stage.name`, or as `name` alone without a stage.
    """
    return _parsed(schema, tuple(texts.items()), stage)


@functools.lru_cache(maxsize=64)
def _parsed(schema: type[T], items: tuple[tuple[str, str], ...], stage: str) -> T:
    """As `parse`: the same texts are read once in a process."""
    known, texts = parameters_of(schema), dict(items)
    prefix = f"{stage}." if stage else ""
    for name in texts:
        if name not in known:
            raise unknown_name(
                f"{prefix}{name}", {f"{prefix}{other}": one for other, one in known.items()}
            )
    missing = [f"{prefix}{name}" for name in known if name not in texts]
    if missing:
        raise BadInput(f"{missing[0]}: no value is given; set {missing[0]}=...")
    values = {name: known[name].parse(texts[name], f"{prefix}{name}") for name in known}
    return _build(schema, values, "")


def _build(schema: type[T], values: Mapping[str, Any], prefix: str) -> T:
    hints = typing.get_type_hints(schema)
    arguments = {}
    for field in dataclasses.fields(schema):
        name = prefix + field.name
        nested = dataclasses.is_dataclass(hints[field.name])
        arguments[field.name] = (
            _build(hints[field.name], values, f"{name}.") if nested else values[name]
        )
    return schema(**arguments)


def to_text(value: Any) -> str:
    """The one spelling of a value: `null`, `true`, `[a,b]`, and numbers as Python writes them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        texts = map(to_text, value)
        return f"[{','.join(quoted(t) if AMBIGUOUS.search(t) else t for t in texts)}]"
    return str(value)


def quoted(text: str) -> str:
    """The text in quotes, as Hydra and the lists here read it back letter by letter."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"'{escaped}'"


def unquoted(text: str) -> str:
    """The text without the quotes around all of it, if such are there."""
    quote, inner = text[:1], text[1:-1]
    if len(text) < 2 or quote not in "'\"" or text[-1] != quote:
        return text
    ends = re.compile(rf"(\\*)({quote}|\Z)")
    if any(len(slashes) % 2 != len(end) for slashes, end in ends.findall(inner)):
        return text
    return ends.sub(lambda m: m[1][: len(m[1]) // 2] + m[2], inner)


def split_list(text: str) -> list[str]:
    """The parts between the commas that are not in quotes or brackets, without space around."""
    return [part.strip() for part in ITEM.findall(f"{text},")]


def unmet(condition: str, texts: Mapping[str, str]) -> str:
    """The parameter for which `condition`, such as of `only_with`, does not hold; empty: none."""
    for part in filter(None, condition.split(" and ")):
        name, equals, wanted = part.partition("!=" if "!=" in part else "=")
        if (texts[name] in wanted.split("|")) != (equals == "="):
            return name
    return ""


def to_texts(instance: Any) -> dict[str, str]:
    """The texts that `parse` would read back, by dotted name."""
    names = parameters_of(type(instance))
    return {name: to_text(operator.attrgetter(name)(instance)) for name in names}


def unknown_name(name: str, known: Mapping[str, Parameter | None]) -> BadInput:
    """The error for a misspelt or renamed parameter, with the name that is meant if there is one.

    `known` are all names; those that are no parameters, such as groups of options, have None.
    """
    stage, dot, last = name.rpartition(".")
    for other, one in known.items():
        if one and one.formerly == last and other == f"{stage}{dot}{one.name}":
            return BadInput(f"{name} is called {other} now")
    near = [other for other in known if _is_short_for(name, other)]
    near = near or difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else "see --help for the parameters"
    return BadInput(f"unknown parameter {name}; {hint}")


def _is_short_for(name: str, other: str) -> bool:
    """Whether `train.lr`, `lr` or `learning_rate` may stand for `train.learning_rate`."""
    stage, _, last = name.rpartition(".")
    group, _, full = other.rpartition(".")
    initials = "".join(word[0] for word in full.split("_") if word)
    return stage in ("", group) and last in (full, initials)


@functools.cache
def _field_docs(schema: type) -> dict[str, str]:
    """The string literal under each field, also of the classes that it extends, as one line.

    Only for help: Python's parser must not be called while ClearML's thread parses (3.11.7).
    """
    docs: dict[str, str] = {}
    for each in schema.__mro__[-2::-1]:
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0].body
        except (OSError, TypeError):  # made at run time
            continue
        for field, following in itertools.pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                docs[field.target.id] = " ".join(str(following.value.value).split())
    return docs
