"""The plots of the report, each as SVG for the page and as PNG for ClearML.

They are drawn with stand-in colours which the page replaces by its own, in light and in dark.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter

from components.evaluate.curves import precision_recall_curve, roc_curve
from components.evaluate.predictions import Predictions
from components.runtime.text import printable

INK, SOFT, LINE, PAPER = "#1c2024", "#60666c", "#d9dcdf", "#fefefe"
SERIES = ["#2a6f97", "#c8553d", "#4f8f5b", "#8e6bb0", "#b8862b", "#5b6b7b", "#a84a7b", "#3f9a9a"]
VARIABLES = {INK: "--ink", SOFT: "--soft", LINE: "--line", PAPER: "--paper"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES, 1)
}
NAMED_AT_MOST = len(SERIES)  # classes with a colour and a name of their own in the curves
WRITTEN_AT_MOST = 12  # classes whose confusions are written into the cells
LONGEST_NAME = 30  # letters of a class's name; what is longer is cut
FONT = "DejaVu Sans"  # matplotlib brings it
DASHED: dict[str, Any] = {"color": SOFT, "linewidth": 0.9, "linestyle": (0, (4, 3))}
STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called a$b$c
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "evaluation",
    "path.simplify_threshold": 0.3,
}


styled = matplotlib.rc_context(STYLE)  # a decorator


def new_figure() -> tuple[Figure, Axes]:
    """A figure with room for its labels, and its axes."""
    figure = Figure(figsize=(4.0, 3.1))  # inches
    return figure, figure.add_axes((0.16, 0.16, 0.81, 0.8))


@styled
def save_png(figure: Figure, path: Path) -> None:
    """At 120 dots an inch on white."""
    figure.savefig(path, dpi=120)


@styled
def to_svg(figure: Figure, name: str) -> str:
    """Inline SVG whose colours are the page's; `name` keeps its ids apart from other figures'."""
    with io.StringIO() as file:
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"(font: [^;\"<]*?)'[^;\"<]*", r"\1inherit-face", text)
    text = text.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
    for colour, variable in VARIABLES.items():
        text = re.sub(colour, f"var({variable})", text, flags=re.I)
    return text


def numbered(classes: list[str]) -> bool:
    """Whether figures show classes by their number, from 1: no font here has all letters."""
    return _fonts(frozenset("".join(map(printable, classes)))) is None


def class_names(classes: list[str]) -> list[str]:
    """What figures call the classes."""
    if numbered(classes):
        return [str(number) for number in range(1, len(classes) + 1)]
    names = map(printable, classes)
    return [n if len(n) <= LONGEST_NAME else n[: LONGEST_NAME - 1] + "\u2026" for n in names]


def _in_fonts_of(classes: list[str], texts: Iterable[Text]) -> None:
    """Write the texts in fonts that have the letters of the classes' names."""
    families = _fonts(frozenset("".join(map(printable, classes))))
    for text in texts:
        text.set_fontfamily(families or [FONT])


@functools.cache
def _fonts(letters: frozenset[str]) -> list[str] | None:
    """Fonts of this machine that together have these letters, or None."""
    families = []
    for font in sorted(fontManager.ttflist, key=lambda font: (font.name != FONT, font.name)):
        if "Last Resort" not in font.name and font.name not in families:  # which only has boxes
            known = FT2Font(font.fname).get_charmap()
            found = {letter for letter in letters if ord(letter) in known}
            if found or font.name == FONT:
                families.append(font.name)
                letters -= found
            if not letters:
                return families
    return None


@styled
def learning_curve(history: list[dict[str, float]], name: str, best_epoch: int | None) -> Figure:
    """`loss` or `accuracy` by epoch, of training and validation; the kept epoch is marked."""
    figure, axes = new_figure()
    epochs = [row["epoch"] for row in history]
    for column, label, colour in (
        (name, "training", SERIES[0]),
        (f"validation_{name}", "validation", SERIES[1]),
    ):
        if column in history[0]:
            values = [row[column] for row in history]
            axes.plot(epochs, values, color=colour, label=label, marker="o", markersize=2.5)
    if best_epoch is not None:
        axes.axvline(best_epoch, **DASHED)
    axes.set(xlabel="epoch", ylabel=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if name == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    else:
        axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of `history.csv`, if there; columns that are empty in some epoch are left out."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    full = [name for name in (rows[0] if rows else []) if all(row[name] for row in rows)]
    return [{name: float(row[name]) for name in full} for row in rows]


@styled
def confusion(matrix: np.ndarray, classes: list[str]) -> Figure:
    """The share of each label's images by predicted class, with the counts where they fit."""
    size = min(3.2 + 0.32 * len(classes), 11)
    figure = Figure(figsize=(size + 0.5, size), layout="constrained")  # names may be long
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    colours = matplotlib.colors.LinearSegmentedColormap.from_list("share", [PAPER, SERIES[0]])
    axes.imshow(share, cmap=colours, vmin=0, vmax=1, aspect="equal")
    axes.grid(False)
    axes.set(xlabel="predicted", ylabel="label")
    ticks = range(len(classes))
    small = max(4.0, min(10.0, 160 / len(classes)))
    names = class_names(classes)
    flat = len(classes) <= 4 and sum(map(len, names)) <= LONGEST_NAME
    axes.set_xticks(ticks, names, rotation=0 if flat else 90, fontsize=small)
    axes.set_yticks(ticks, names, fontsize=small)
    _in_fonts_of(classes, [*axes.get_xticklabels(), *axes.get_yticklabels()])
    if len(classes) <= WRITTEN_AT_MOST:
        for row, column in np.ndindex(matrix.shape):
            colour = PAPER if share[row, column] > 0.6 else INK
            axes.text(column, row, matrix[row, column], ha="center", va="center", color=colour)
    return figure


@styled
def roc(predictions: Predictions, per_class: dict[str, dict[str, Any]]) -> Figure:
    """True against false positive rate of each class (with two classes, of the second)."""
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1], **DASHED)
    for index, style in _class_styles(predictions, per_class, "auc"):
        positive, scores = predictions.labels == index, predictions.probabilities[:, index]
        false, true = roc_curve(positive, scores)
        axes.plot(false, true, **style)
    _shares(axes, "false positive rate", "true positive rate (recall)", predictions.classes)
    return figure


@styled
def precision_recall(predictions: Predictions, per_class: dict[str, dict[str, Any]]) -> Figure:
    """Precision against recall of each class."""
    figure, axes = new_figure()
    for index, style in _class_styles(predictions, per_class, "average_precision", both=True):
        positive, scores = predictions.labels == index, predictions.probabilities[:, index]
        precision, recall = precision_recall_curve(positive, scores)
        axes.plot(recall, precision, drawstyle="steps-post", **style)
    _shares(axes, "recall", "precision", predictions.classes)
    return figure


def _class_styles(
    predictions: Predictions, per_class: dict[str, dict[str, Any]], area: str, both: bool = False
) -> list[tuple[int, dict[str, Any]]]:
    """Which classes are drawn and how: named and coloured if few, thin and grey if many."""
    classes = predictions.classes
    if len(classes) > NAMED_AT_MOST:
        return [(i, {"color": SOFT, "linewidth": 0.7, "alpha": 0.6}) for i in range(len(classes))]
    names = class_names(classes)
    labels = [  # matplotlib hides what begins with _
        f"{' ' if names[index][:1] == '_' else ''}{names[index]}, area {per_class[name][area]:.3f}"
        for index, name in enumerate(classes)
    ]
    if len(classes) == 2 and not both:
        return [(1, {"color": SERIES[0], "label": labels[1]})]
    return [(index, {"color": SERIES[index], "label": text}) for index, text in enumerate(labels)]


def _shares(axes: Axes, x: str, y: str, classes: list[str] = ()) -> None:
    """Both axes from 0 to 100 %, and the names of the classes if the curves have any."""
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    if classes and axes.get_legend_handles_labels()[0]:
        legend = axes.legend(loc="lower right" if x.startswith("false") else "lower left")
        _in_fonts_of(classes, legend.get_texts())


@styled
def reliability(bins: list[dict[str, Any]], scaled: list[dict[str, Any]] | None) -> Figure:
    """Accuracy against confidence; on the diagonal the probabilities mean what they say."""
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1], **DASHED)
    for rows, label, colour in (
        (bins, "the model", SERIES[0]),
        (scaled or [], "with temperature", SERIES[1]),
    ):
        if rows:
            confidence = [row["confidence"] for row in rows]
            accuracy = [row["accuracy"] for row in rows]
            axes.plot(confidence, accuracy, color=colour, linewidth=1.2, label=label)
            area = [8 + 90 * row["images"] / sum(r["images"] for r in rows) for row in rows]
            axes.scatter(confidence, accuracy, s=area, color=colour, zorder=3)
    _shares(axes, "probability of the predicted class", "share that is right")
    axes.legend(loc="upper left")
    return figure
