"""What the pages for people share: their style, their numbers, and pictures within the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

THUMBNAIL = 192  # pixels, the longer side at most
SPACE = "\u202f"  # narrow, not broken
MISSING = "n/a"


def page(template: Path, values: dict[str, Any], filters: dict[str, Any] | None = None) -> str:
    """The template with these values and filters, and the style of all pages as `style`."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, **(filters or {})}
    return environment.get_template(template.name).render(style=Markup(STYLE), **values).lstrip()


def percent(share: float | None, digits: int = 1) -> str:
    """`0.9512` as `95.1 %`."""
    return MISSING if share is None else f"{100 * share:.{digits}f}{SPACE}%"


def as_data(picture: Image.Image, at_most: int = THUMBNAIL, format: str = "JPEG") -> str:
    """A picture of at most so many pixels a side as a data address."""
    picture.thumbnail((at_most, at_most))
    with io.BytesIO() as file:
        picture.save(file, format, quality=82)
        return f"data:image/{format.lower()};base64," + base64.b64encode(file.getvalue()).decode()


STYLE = """
:root {
  --paper: #fdfdfc; --ink: #1c2024; --soft: #5d646b; --line: #dfe2e4; --tint: #f4f5f5;
  --series-1: #2a6f97; --series-2: #c8553d; --series-3: #4f8f5b; --series-4: #8e6bb0;
  --series-5: #b8862b; --series-6: #5b6b7b; --series-7: #a84a7b; --series-8: #3f9a9a;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15181b; --ink: #e8eaec; --soft: #9aa3ab; --line: #30363b; --tint: #1d2125;
    --series-1: #64a9d4; --series-2: #e8836c; --series-3: #7fbf8b; --series-4: #b99bd6;
    --series-5: #d9ab58; --series-6: #93a3b3; --series-7: #d985b0; --series-8: #6cc4c4;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: clamp(1.25rem, 4vw, 3.5rem) clamp(1rem, 4vw, 2.5rem) 4rem;
    max-width: 68rem;
  background: var(--paper); color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1, h2, h3 { line-height: 1.15; letter-spacing: -.015em; font-weight: 650; text-wrap: balance; }
h1 { font-size: clamp(1.9rem, 5.2vw, 2.9rem); margin: .2rem 0 .8rem; letter-spacing: -.03em; }
h2 { font-size: 1.45rem; margin: 0 0 .4rem; }
h3 { font-size: 1.02rem; margin: 1.8rem 0 .3rem; letter-spacing: 0; }
p { margin: .4rem 0 1rem; max-width: 44rem; }
a { color: var(--series-1); text-underline-offset: .2em; }
small, .soft, figcaption, caption, .eyebrow { color: var(--soft); }
.eyebrow { font-size: .88rem; margin: 0; }
.lead { font-size: 1.13rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; list-style: none;
    margin: 1.6rem 0 0; padding: 0; font-size: .93rem; }
section { border-top: 1px solid var(--line); margin-top: 2.8rem; padding-top: 1.8rem; }
.figures { display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(11.5rem, 100%), 1fr)); gap: 1.4rem 2rem;
    margin: 2rem 0 0; }
.figures div { border-top: 2px solid var(--ink); padding-top: .55rem; }
.figures dt { font-size: .88rem; }
.figures dd { margin: 0; font-variant-numeric: tabular-nums; }
.figures .value { font-size: 1.75rem; font-weight: 600; letter-spacing: -.02em;
    line-height: 1.25; }
.figures small { display: block; line-height: 1.35; }
.scroll { overflow-x: auto; margin: .8rem 0 1.2rem; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums;
    min-width: min(100%, 26rem); }
caption { text-align: left; padding-bottom: .4rem; font-size: .88rem;
    max-width: calc(100vw - 2rem); }
th, td { padding: .45rem .9rem .45rem 0; text-align: right; vertical-align: top;
    border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; }
thead th { font-weight: 500; color: var(--soft); font-size: .85rem; vertical-align: bottom; }
tbody th { font-weight: 550; } tbody .soft { font-weight: 400; }
td small { display: block; font-size: .78rem; }
td.words, th.words { text-align: left; }
td.wrap { white-space: normal; overflow-wrap: anywhere; text-align: left; }
figure { margin: 0; }
.shots { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.6rem, 1fr));
    gap: 1.2rem 1rem; margin-top: 1rem; }
.shot.wide { grid-column: span 2; }
.shot > div { display: flex; gap: 3px; }
.shot img { flex: 1; min-width: 0; width: 100%; height: auto; border-radius: 3px;
    background: var(--tint); }
.shot figcaption { font-size: .84rem; line-height: 1.4; padding-top: .3rem;
    font-variant-numeric: tabular-nums; }
.shot b { color: var(--ink); font-weight: 600; }
.path { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
    font-size: .76rem; }
.bar { display: block; height: 3px; border-radius: 2px; margin-bottom: .3rem;
    background: linear-gradient(var(--series-1) 0 0) 0 / calc(var(--share) * 100%) no-repeat
    var(--line); }
.bar.wrong { background-image: linear-gradient(var(--series-2) 0 0); }
details { margin: .6rem 0; } summary { cursor: pointer; padding: .3rem 0; font-weight: 550; }
:focus-visible { outline: 2px solid var(--series-1); outline-offset: 2px; }
@media (max-width: 34rem) {
  .shots { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@page { margin: 14mm; }
@media print {
  nav { display: none; }
  html { font-size: 80%; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { padding: 0; max-width: none; background: none; }
  figure, tr, dl > div, .scroll:not(:has(tr:nth-child(12))), p { break-inside: avoid; }
  h2, h3, summary, caption { break-after: avoid; }
  .scroll { overflow: visible; }
  th, td { white-space: normal; overflow-wrap: anywhere; }
  details::details-content { content-visibility: visible; block-size: auto; opacity: 1; }
  .shots { grid-template-columns: repeat(6, minmax(0, 1fr)); }
}
"""
