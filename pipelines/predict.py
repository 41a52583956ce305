"""Predict the classes of images.

python pipelines/predict.py model=champion images=photos file=predictions.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import logging
import os
import warnings
from dataclasses import dataclass
from typing import Any

from components.runtime.schema import BadInput, parameter
from pipelines.dag import PETS
from pipelines.engine.command import command

log = logging.getLogger("pipelines.predict")  # whether run or imported


@dataclass(frozen=True)
class Predict:
    """Predict the classes of images: one row an image, in the order of the input.

    Images that can't be read are told on standard error and skipped; exit code 2 if none could.
    """

    model: str = parameter()
    "A reference of a model, champion, a model's folder, or a model.keras of a run."
    images: str = parameter()
    """An image, a folder with those below it, a pattern such as 'photos/*.jpg', or - to read paths
    from standard input."""
    output: str = parameter(choices=("csv", "jsonl"))
    "What a row is: comma-separated, or an object of JSON."
    file: str | None = parameter()
    "File to write; null writes to standard output."
    batch_size: int = parameter(at_least=1)
    "Images a forward pass."
    workers: int = parameter(at_least=0)
    "Threads that read images; 0: two for each CPU, at most 16."


def work(settings: Any) -> None:
    """Predict, and tell how many."""
    from components.predict.output import check_free
    from components.predict.sources import find_images

    check_free(settings.file)
    paths, total = find_images(settings.images)
    from pipelines.engine.models import model_folder

    folder = model_folder(settings.model, settings.run)
    from components.predict.network import Classifier

    try:
        _predict(settings, Classifier(folder), paths, total)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _predict(settings: Any, classifier, paths, total: int | None) -> None:
    from components.predict.output import ROWS, opened
    from components.predict.prediction import predict_images
    from components.runtime.progress import progress

    warnings.simplefilter("ignore")  # Pillow's, of odd files: each gets one line of ours if any
    predictions = predict_images(classifier, paths, settings.batch_size, settings.workers)
    if settings.file or not sys.stdout.isatty():  # else the bar would be among the rows
        predictions = progress(predictions, total=total, label="predict")
    predicted = unread = 0
    with opened(settings.file) as file:
        write = ROWS[settings.output](file, classifier.classes)
        for prediction in predictions:
            if prediction.probabilities is None:
                unread += 1
                log.warning("%s: %s; skipped", prediction.path, prediction.problem)
                continue
            write(prediction.path, prediction.probabilities)
            predicted += 1
        if not predicted:
            raise BadInput(f"images={settings.images}: none of {unread} files is a readable image")
    log.info("%d images predicted, %d skipped", predicted, unread)


def main() -> None:
    """Exit code 2 for a mistake of the user's."""
    command(PETS, Predict, "predict", work)


if __name__ == "__main__":
    main()
