"""Parts of the test set in which a model may do worse than its accuracy says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from components.evaluate.bootstrap import Bootstrap
from components.evaluate.predictions import Predictions

SMALLEST_THIRD = 5  # images; with fewer, thirds say nothing
SOURCES_AT_MOST = 12


def slices(predictions: Predictions, boot: Bootstrap | None) -> list[dict[str, Any]]:
    """Accuracy in each part: [{by, name, images, accuracy, interval}], parts without images left
    out."""
    return [
        {
            "by": by,
            "name": name,
            "images": int(inside.sum()),
            "accuracy": float(predictions.correct[inside].mean()),
            "interval": boot.proportion(predictions.correct, inside) if boot else None,
        }
        for by, name, inside in _parts(predictions)
    ]


def _parts(predictions: Predictions) -> Iterator[tuple[str, str, np.ndarray]]:
    images = predictions.images
    side = np.sqrt([image.width * image.height for image in images])
    brightness = np.array([image.brightness for image in images], float)
    yield from _thirds("image size", side, ("small", "medium", "large"), "px")
    yield from _thirds("brightness", brightness, ("dark", "medium", "bright"), "")
    yield from _thirds("sharpness", predictions.sharpness, ("blurred", "medium", "sharp"), "")
    yield from _sources(predictions)


def _thirds(
    by: str, values: np.ndarray, names: tuple[str, str, str], unit: str
) -> Iterator[tuple[str, str, np.ndarray]]:
    if len(values) < 3 * SMALLEST_THIRD:
        return
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    if low == high:
        return
    bounds = [f"to {low:,.0f}", f"{low:,.0f} to {high:,.0f}", f"from {high:,.0f}"]
    inside = [values <= low, (values > low) & (values < high), values >= high]
    for name, bound, chosen in zip(names, bounds, inside, strict=True):
        if chosen.any():
            yield by, f"{name}, {bound} {unit}".rstrip(), chosen


def _sources(predictions: Predictions) -> Iterator[tuple[str, str, np.ndarray]]:
    """By the folder or archive above the classes' folders, where there is more than one."""
    sources = np.array(
        [
            "/".join(p for p in PurePosixPath(image.path).parent.parts if p != image.label) or "."
            for image in predictions.images
        ]
    )
    names = np.unique(sources)
    if 1 < len(names) <= SOURCES_AT_MOST:
        for name in names:
            yield "source", str(name), sources == name
