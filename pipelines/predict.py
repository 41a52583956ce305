"""Predict the classes of images.

python pipelines/predict.py images=photos file=predictions.csv gallery=page.html
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import contextlib
import logging
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.runtime.schema import BadInput, parameter
from pipelines.dag import PETS
from pipelines.engine.command import command, open_store

if TYPE_CHECKING:
    from components.predict.models import Found
    from components.predict.network import Classifier

log = logging.getLogger("pipelines.predict")  # whether run or imported


@dataclass(frozen=True)
class Predict:
    """Predict the classes of images: one row an image, in the order of the input.

    Images that can't be read are told on standard error and skipped; exit code 2 if none could.
    """

    model: str = parameter()
    """The champion (without one the newest model), latest, a reference, the folder of a run or of a
    model, or a model.keras."""
    images: str = parameter()
    """An image, a folder with those below it, a pattern such as 'photos/*.jpg', or - to read paths
    from standard input."""
    output: str = parameter(choices=("csv", "jsonl"))
    "What a row is: comma-separated, or an object of JSON."
    file: str | None = parameter()
    "File to write; null or - writes to standard output."
    gallery: str | None = parameter()
    "Page (HTML) to write with the photos and what they are taken for, the least certain first."
    threshold: float | None = parameter(at_least=0, at_most=1)
    """What has no class of at least this probability is predicted as 'none of them'; null: nothing
    is."""
    batch_size: int = parameter(at_least=1)
    "Images a forward pass."
    workers: int = parameter(at_least=0)
    "Threads that read images; 0: two for each CPU, at most 16."
    max_megapixels: float = parameter(above=0, at_most=178)
    "Millions of pixels of one image above which it is skipped; use that of the model's ingest."
    max_file_mb: float = parameter(above=0)
    "Megabytes of one file above which it is skipped."


def work(settings: Any) -> None:
    """Predict, and tell how many."""
    from components.predict.sources import find_images

    _check_outputs(settings)
    if not settings.images.strip():
        raise BadInput("images=: names none; give an image, a folder, a pattern, or - for a list")
    paths, total = find_images(settings.images)
    from components.predict.models import find_model

    with contextlib.redirect_stdout(sys.stderr):  # ClearML tells there what it downloads
        found = find_model(settings.model, open_store(settings.run))
    from components.predict.network import Classifier

    classifier = Classifier(found.folder, found.temperature)
    if classifier.temperature:
        log.info("calibrated with temperature %s of %s", classifier.temperature, found.evaluation)
    try:
        _predict(settings, classifier, found, paths, total)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _check_outputs(settings: Any) -> None:
    """Before anything is computed; `BadInput`."""
    from components.predict.output import STANDARD_OUTPUT, check_free

    if settings.file not in (None, STANDARD_OUTPUT):
        check_free(settings.file, "file")
    if settings.gallery is None:
        return
    if settings.gallery == STANDARD_OUTPUT:
        raise BadInput("gallery=-: a page can't go where the rows go; name a file")
    check_free(settings.gallery, "gallery")
    if settings.file and Path(settings.file).resolve() == Path(settings.gallery).resolve():
        raise BadInput(f"gallery={settings.gallery}: is the file of the rows, too; name another")


def _predict(
    settings: Any, classifier: Classifier, found: Found, paths: Iterable[str], total: int | None
) -> None:
    from components.predict.gallery import Gallery
    from components.predict.output import NONE, ROWS, STANDARD_OUTPUT, name_of, opened
    from components.predict.photos import Limits
    from components.predict.prediction import predict_images
    from components.runtime.progress import progress

    if settings.threshold is not None and NONE in classifier.classes:
        raise BadInput(f"threshold={settings.threshold}: the model has a class {NONE} itself")
    warnings.simplefilter("ignore")  # Pillow's, of odd files: each gets one line of ours if any
    output, threshold = settings.file or STANDARD_OUTPUT, settings.threshold or 0
    limits = Limits(settings.max_megapixels, settings.max_file_mb)
    predictions = predict_images(classifier, paths, settings.batch_size, settings.workers, limits)
    if output != STANDARD_OUTPUT or not sys.stdout.isatty():  # else the bar would be among the rows
        predictions = progress(predictions, total=total, label="predict")
    gallery = Gallery(classifier.classes)
    with opened(output, "file") as file:
        write = ROWS[settings.output](file, classifier.classes)
        for path, probabilities, problem in predictions:
            if probabilities is None:
                gallery.skip(path, problem)
                log.warning("%s: %s; skipped", path, problem)
                continue
            predicted = name_of(probabilities, classifier.classes, threshold)
            write(path, predicted, probabilities)
            gallery.add(path, predicted, probabilities)
        counts, unread = gallery.counts, gallery.unread_count
        if not counts:
            raise BadInput(f"images={settings.images}: none of {unread} files is a readable image")
    if settings.gallery is not None:
        with opened(settings.gallery, "gallery") as file:
            about = {"name": found.name, "evaluation": found.evaluation, "nothing": NONE}
            about |= {"temperature": classifier.temperature, "threshold": settings.threshold}
            gallery.write(file, about)
    none = f", {counts[NONE]} of them as {NONE}" if threshold else ""
    log.info("%d images predicted%s, %d skipped", counts.total(), none, unread)


def main() -> None:
    """Exit code 2 for a mistake of the user's."""
    command(PETS, Predict, "predict", work)


if __name__ == "__main__":
    main()
