"""The files of words beside a model, from the templates of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.imaging.html import filled
from components.runtime.text import markdown, printable


def render(template: str, **values: Any) -> str:
    """The text of a template with these values."""
    filters = {
        "number": lambda value: "" if value is None else f"{value:.3f}",
        "markdown": markdown,
        "code": lambda text: printable(text).replace("`", "'"),
    }
    return filled(Path(__file__).with_name(template), values, filters)
