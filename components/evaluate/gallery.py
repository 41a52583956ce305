"""Pictures for the report: thumbnails inlined as data, with what the model says about each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageOps

from components.evaluate.gradcam import heat_maps
from components.evaluate.inference import Classifier
from components.evaluate.predictions import Predictions
from components.imaging.dataset import Image, ShardReader, load_images
from components.imaging.decoding import decode_rgb
from components.imaging.html import as_data

TILE, FRAME, GAP = 76, 5, 4  # pixels, of the wall
COLUMNS, ROWS = 15, 4  # tiles of the wall at most
SAMPLES_AT_MOST = 120  # training images in all, so that the report stays small with many classes


def wall(dataset: Path, predictions: Predictions) -> str:
    """Test images from the surest right to the surest wrong, wrong ones framed, as one picture.

    With more than fit, as many evenly picked ones, so that the share of framed ones stays.
    """
    order = np.argsort(-predictions.of_label, kind="stable")
    shown = min(len(order), COLUMNS * ROWS)
    rows = order[np.linspace(0, len(order) - 1, shown).round().astype(int)]
    lines = -(-shown // COLUMNS)
    columns = -(-shown // lines)
    sheet = Picture.new("RGBA", (columns * TILE, lines * TILE))
    draw = ImageDraw.Draw(sheet)
    with ShardReader(dataset) as reader:
        for place, row in enumerate(rows):
            left, top = place % columns * TILE, place // columns * TILE
            picture = decode_rgb(reader.read(predictions.images[row]))
            sheet.paste(ImageOps.fit(picture, (TILE - GAP, TILE - GAP)), (left, top))
            if not predictions.correct[row]:
                box = (left, top, left + TILE - GAP - 1, top + TILE - GAP - 1)
                draw.rectangle(box, outline="#e0452b", width=FRAME)
    return as_data(sheet, at_most=sheet.width, format="WEBP")


def samples(dataset: Path, classes: list[str], each: int) -> list[dict[str, Any]]:
    """The first training images of each class: [{name, images: [{source, path}]}]."""
    each = min(each, max(1, SAMPLES_AT_MOST // len(classes)))  # 0: none
    chosen: dict[str, list[Image]] = {name: [] for name in classes}
    for image in load_images(dataset, "train"):
        if len(chosen[image.label]) < each:
            chosen[image.label].append(image)
    with ShardReader(dataset) as reader:
        return [
            {
                "name": name,
                "images": [
                    {"source": as_data(decode_rgb(reader.read(image))), "path": image.path}
                    for image in images
                ],
            }
            for name, images in chosen.items()
            if images
        ]


def gallery(
    dataset: Path,
    classifier: Classifier,
    predictions: Predictions,
    rows: Iterable[int],
    heat_maps_at_most: int,
) -> list[dict[str, Any]]:
    """What the report shows of these rows; the first few with a heat map where there is one."""
    rows = list(rows)
    with ShardReader(dataset) as reader:
        pictures = [decode_rgb(reader.read(predictions.images[row])) for row in rows]
    looked_at = _looked_at(classifier, predictions, rows[:heat_maps_at_most], pictures)
    return [
        {
            "path": predictions.images[row].path,
            "label": predictions.classes[predictions.labels[row]],
            "predicted": predictions.classes[predictions.predicted[row]],
            "probability": float(predictions.confidence[row]),
            "of_label": float(predictions.of_label[row]),
            "right": bool(predictions.correct[row]),
            "heat_map": looked_at.get(row),
            "source": as_data(picture),
        }
        for row, picture in zip(rows, pictures, strict=True)
    ]


def _looked_at(
    classifier: Classifier,
    predictions: Predictions,
    rows: list[int],
    pictures: list[Picture.Image],
) -> dict[int, str]:
    """The pictures with their heat maps laid over, by row; empty if the model has none."""
    if not rows:
        return {}
    columns = np.array(classifier.columns(predictions.classes))
    pixels = np.stack([np.asarray(picture) for picture in pictures[: len(rows)]])
    maps = heat_maps(classifier.network, pixels, columns[predictions.predicted[rows]])
    if maps is None:
        return {}
    return {row: as_data(_overlay(*pair)) for row, *pair in zip(rows, pixels, maps, strict=True)}


def _overlay(pixels: np.ndarray, heat: np.ndarray) -> Picture.Image:
    """The picture [H, W, 3] greyed, with `heat` [h, w] in 0..1 over it."""
    height, width = pixels.shape[:2]
    size = Picture.fromarray((heat * 255).astype(np.uint8)).resize(
        (width, height), Picture.Resampling.BICUBIC
    )
    strength = np.asarray(size, np.float32)[..., None] / 255
    colours = matplotlib.colormaps["inferno"](strength[..., 0])[..., :3] * 255
    grey = pixels.mean(axis=2, keepdims=True)
    share = 0.25 + 0.45 * strength
    return Picture.fromarray(((1 - share) * grey + share * colours).astype(np.uint8))
