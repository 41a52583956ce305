"""The files of words beside a model, from the templates of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from components.runtime.text import markdown, printable


def render(template: str, **values: Any) -> str:
    """The text of a template with these values."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": lambda value: "" if value is None else f"{value:.3f}",
        "markdown": markdown,
        "code": lambda text: printable(text).replace("`", "'"),
    }
    return environment.get_template(template).render(**values)
