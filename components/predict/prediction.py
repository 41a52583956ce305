"""Many images through a classifier: read by threads, predicted in batches, in order.

Threads, as Pillow lets go of Python's lock while it decodes: next to a forward pass on the same
CPUs they were a fifth faster than processes, which need a while to start.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from components.predict.network import Classifier
from components.predict.photos import USUAL, Limits, as_array, read_photos
from components.runtime.parallel import in_order, usable_cpus

THREADS_AT_MOST = 16  # beyond it they wait for Python's lock


class Prediction(NamedTuple):
    """What the model says about a file, or why it says nothing."""

    path: str
    probabilities: np.ndarray | None  # [C] float32, in the order of the classifier's classes
    problem: str


def predict_images(
    classifier: Classifier,
    paths: Iterable[str],
    batch_size: int,
    workers: int,
    limits: Limits = USUAL,
) -> Iterator[Prediction]:
    """One prediction a path, in the order of `paths`, which is read only as far as needed.

    Memory holds `workers` + 2 batches, however many paths there are. `workers` is a number of
    threads; 0 takes two for each CPU, so that one is ready while another waits for the disk.
    """
    workers = workers or min(2 * usable_cpus(), THREADS_AT_MOST)
    unstored = classifier.recipe._replace(format="png")  # `stored` does the rest, in batches
    read = functools.partial(read_photos, unstored, limits=limits)
    rest = iter(paths)
    batches = iter(lambda: list(itertools.islice(rest, batch_size)), [])  # until one is empty
    pool = ThreadPoolExecutor(workers)
    try:
        for batch, photos in in_order(pool, read, batches, workers + 1):
            images = as_array(photos, unstored.size)
            probabilities = iter(classifier(classifier.stored(images)) if len(images) else ())
            for path, photo in zip(batch, photos, strict=True):
                found = None if photo.problem else next(probabilities)
                yield Prediction(path, found, photo.problem)
    finally:
        pool.shutdown(cancel_futures=True)
