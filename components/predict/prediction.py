"""Many images through a classifier: read in other processes, predicted in batches, in order."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from components.parallel import map_ordered
from components.predict.classifier import Classifier
from components.predict.photos import Photo, read_photos


class Prediction(NamedTuple):
    """What the model says about a file, or why it says nothing."""

    path: str
    probabilities: np.ndarray | None  # [C] float32, in the order of the classifier's classes
    problem: str


def predict_images(
    classifier: Classifier, paths: Iterable[str], batch_size: int, workers: int
) -> Iterator[Prediction]:
    """One prediction a path, in the order of `paths`, which is read only as far as needed.

    Memory holds some batches, however many paths there are.
    """
    read = functools.partial(read_photos, classifier.size, classifier.resize)
    for batch, photos in map_ordered(read, _batches(paths, batch_size), workers):
        probabilities = iter(_predict(classifier, photos))
        for path, photo in zip(batch, photos, strict=True):
            yield Prediction(path, None if photo.problem else next(probabilities), photo.problem)


def _predict(classifier: Classifier, photos: list[Photo]) -> np.ndarray:
    """[N, C] of the N photos that could be read."""
    pixels = b"".join(photo.pixels for photo in photos)
    shape = (-1, classifier.size, classifier.size, 3)
    images = np.frombuffer(pixels, np.uint8).reshape(shape)
    return classifier(images) if len(images) else np.empty((0, len(classifier.classes)))


def _batches(paths: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(paths)
    while batch := list(itertools.islice(rest, size)):
        yield batch
