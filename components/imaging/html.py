"""What the pages for people share: their style, their numbers, and pictures within the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from components.runtime.text import markdown, printable

STYLE = Path(__file__).with_name("style.css")
THUMBNAIL = 192  # pixels, the longer side at most
SPACE = "\u202f"  # narrow, not broken
MISSING = "n/a"


def page(template: Path, values: dict[str, Any], filters: dict[str, Any] | None = None) -> str:
    """The template with these values and filters, and the style of all pages as `style`."""
    values = {"style": Markup(STYLE.read_text(encoding="utf-8")), **values}
    return filled(template, values, filters, autoescape=True, undefined=StrictUndefined).lstrip()


def filled(
    template: Path, values: dict[str, Any], filters: dict[str, Any] | None = None, **options: Any
) -> str:
    """The text of a template, with filters besides those of all; `options` are jinja2's."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters |= FILTERS | (filters or {})
    return environment.get_template(template.name).render(values)


def percent(share: float | None, digits: int = 1) -> str:
    """`0.9512` as `95.1 %`."""
    return MISSING if share is None else f"{100 * share:.{digits}f}{SPACE}%"


FILTERS = {
    "percent": percent,
    "printable": printable,
    "markdown": markdown,
    "code": lambda text: printable(text).replace("`", "'"),
    "number": lambda value: "" if value is None else f"{value:.3f}",
}


def as_data(picture: Image.Image, at_most: int = THUMBNAIL, format: str = "JPEG") -> str:
    """A picture of at most so many pixels a side as a data address."""
    picture.thumbnail((at_most, at_most))
    with io.BytesIO() as file:
        picture.save(file, format, quality=82)
        return f"data:image/{format.lower()};base64," + base64.b64encode(file.getvalue()).decode()
