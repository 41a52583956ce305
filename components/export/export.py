"""`export_model`: one folder with all that somebody needs to use a model."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np

from components.export.card import Known, write_card
from components.export.formats import FORMATS, TOLERANCE, largest_difference, made_up_images
from components.export.serving import shipped, write_serving
from components.predict.network import Classifier
from components.predict.photos import as_array, read_photos
from components.runtime.files import write_json
from components.runtime.schema import BadInput

log = logging.getLogger(__name__)

KEPT = ("model.keras", "model.json", "trained_on.txt")  # of the model's folder, where they are


def export_model(
    model: Path, folder: Path, photos: list[str], known: Known, project: str
) -> list[str]:
    """Fill the empty `folder`; what did not pass its check, or could not be written, in words.

    Each format is checked on `photos`, or on made-up images without any; one that predicts
    otherwise is removed.
    """
    classifier = Classifier(model, known.temperature)
    images = _photos(classifier, photos) if photos else made_up_images(classifier.recipe.size)
    kind = "photos" if photos else "made-up images"
    for name in KEPT:
        if (model / name).is_file():
            shutil.copyfile(model / name, folder / name)
    if classifier.temperature:
        classifier.network.save(folder / "model.keras")
        write_json(folder / "model.json", classifier.info | {"temperature": classifier.temperature})
    (folder / "prepare.py").write_text(shipped("prepare.py.jinja", classifier.recipe), "utf-8")
    (folder / "classes.txt").write_text("".join(f"{n}\n" for n in classifier.classes), "utf-8")
    checks, problems = [], []
    for format in FORMATS:
        path = folder / format.path
        try:
            format.write(classifier, path)
            gap = largest_difference(format.load(path), classifier, images)
            told = f"probabilities of {len(images)} {kind} differ from model.keras by {gap:.1e}"
            problem = "" if gap <= TOLERANCE else f"{told}, more than {TOLERANCE:g}"
        except Exception as error:  # converters raise all sorts
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if problem:
            shutil.rmtree(path, ignore_errors=True)  # a folder, or else a file
            path.unlink(missing_ok=True)
            problems.append(f"{format.name} is left out: {problem}")
            checks.append(problems[-1])
            log.warning("%s", problems[-1])
        else:
            checks.append(f"{format.name}: {told} at most ({TOLERANCE:g} is accepted).")
            log.info("%s", checks[-1])
    tflite = folder / "model.tflite"
    if tflite.is_file():
        serving = folder / "serving"
        write_serving(serving, tflite, classifier.recipe, classifier.classes, project)
    write_card(folder, classifier, model, known, checks)
    return problems


def _photos(classifier: Classifier, paths: list[str]) -> np.ndarray:
    """[N, H, W, 3] uint8 of those that can be read."""
    images = as_array(read_photos(classifier.recipe, paths), classifier.recipe.size)
    if not len(images):
        raise BadInput(f"images: none of {len(paths)} files is a readable image")
    return images
