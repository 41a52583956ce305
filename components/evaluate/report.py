"""The report: one HTML file with everything inside, which opens without network."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from components.evaluate import figures
from components.evaluate.gallery import gallery, samples, wall
from components.evaluate.inference import Classifier
from components.evaluate.labels import probable_label_errors
from components.evaluate.parameters import Evaluate
from components.evaluate.predictions import Predictions
from components.imaging.dataset import load_info
from components.imaging.html import page, percent
from components.runtime.schema import to_text

TEMPLATE = Path(__file__).with_name("report.html.jinja")
CELLS_AT_MOST = figures.WRITTEN_AT_MOST  # classes; a larger confusion matrix is a picture


def write_report(
    folder: Path,
    model: Path,
    dataset: Path,
    classifier: Classifier,
    test: Predictions,
    validation: Predictions | None,
    metrics: dict[str, Any],
    drawn: dict[str, Figure],
    settings: Evaluate,
) -> None:
    """Write `report.html` into `folder`; its figures are those of `metrics` and `drawn`."""
    info = load_info(dataset)
    values = dict(
        metrics=metrics,
        intervals=metrics["intervals"],
        chance_loss=math.log(len(test.classes)),
        weakest=sorted(test.classes, key=lambda name: metrics["per_class"][name]["f1"])[:10],
        level=percent(settings.confidence_level, 0),
        dataset=info,
        model=classifier.info,
        plots={
            name: Markup(figures.to_svg(figure, name))
            for name, figure in drawn.items()
            if name != "confusion_matrix"
        },
        confusion=_picture(folder / "figures" / "confusion_matrix.png")
        if len(test.classes) > CELLS_AT_MOST
        else None,
        numbered=figures.numbered(test.classes),
        wall=wall(dataset, test) if settings.gallery_size else None,
        galleries=list(_galleries(dataset, classifier, test, validation, settings)),
        samples=samples(dataset, test.classes, settings.samples_per_class),
        augmentation=_picture(model / "augmentation.png"),
        slices=metrics.get("slices", []),
        parameters={
            "Data": info.get("parameters", {}),
            "Training": classifier.info.get("parameters", {}),
            "Evaluation": asdict(settings),
        },
    )
    filters = {"number": number, "percents": percents, "numbers": numbers, "text": to_text}
    (folder / "report.html").write_text(
        page(TEMPLATE, values, filters), "utf-8", "backslashreplace"
    )


def number(value: float | None) -> str:
    """`0.1234` as `0.123`."""
    return "n/a" if value is None else f"{value:.3f}"


def percents(interval: list[float] | None) -> str:
    """`[0.9, 0.97]` as `90.0 to 97.0 %`; empty without an interval."""
    return f"{100 * interval[0]:.1f} to {percent(interval[1])}" if interval else ""


def numbers(interval: list[float] | None) -> str:
    """`[0.9, 0.97]` as `0.900 to 0.970`; empty without an interval."""
    return f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else ""


def _galleries(
    dataset: Path,
    classifier: Classifier,
    test: Predictions,
    validation: Predictions | None,
    settings: Evaluate,
) -> Iterator[dict[str, Any]]:
    """Each gallery: its name (the template holds the words), its images, and how many there are."""
    size, maps = settings.gallery_size, settings.grad_cam_images
    if not size:
        return
    for name, rows in (("mistakes", test.worst_mistakes()), ("uncertain", test.least_certain())):
        images = gallery(dataset, classifier, test, rows[:size], maps)
        yield {"name": name, "total": len(rows), "images": images}
    if settings.label_errors:
        images, total = [], 0
        for part in filter(None, (test, validation)):
            rows = probable_label_errors(part.probabilities, part.labels)
            images += gallery(dataset, classifier, part, rows[: size - len(images)], 0)
            total += len(rows)
        yield {"name": "labels", "total": total, "images": images}


def _picture(path: Path) -> str | None:
    """A PNG file as a data address, or None if there is no such file."""
    if not path.is_file():
        return None
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
