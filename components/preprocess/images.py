"""The files of a raw dataset, resized and encoded, in worker processes that import nothing else."""

from __future__ import annotations

import hashlib
import math
import warnings
from pathlib import Path

from components.imaging import dataset
from components.imaging.decoding import Recipe, make_stored
from components.preprocess.parameters import Preprocess

Stored = tuple[bytes, str]  # the encoded image, or b"" and why there is none


def recipe_of(settings: Preprocess) -> Recipe:
    """All that decides what becomes of an image."""
    return Recipe(settings.image_size, settings.resize, settings.format, settings.quality)


def process_images(raw: Path, settings: Preprocess, images: list[dataset.Image]) -> list[Stored]:
    """The stored form of some images of the raw dataset in the folder `raw`; never raises."""
    stored = []
    recipe = recipe_of(settings)
    with dataset.ShardReader(raw) as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for image in images:
            try:
                data = reader.read(image)
                if hashlib.sha256(data).hexdigest() != image.sha256:
                    raise OSError("the file has changed since ingest")
                # Without a limit: ingest has judged these very bytes by its max_megapixels.
                stored.append((make_stored(data, recipe, math.inf), ""))
            except Exception as error:  # told with its path where the results come together
                stored.append((b"", getattr(error, "strerror", None) or str(error)))
    return stored
