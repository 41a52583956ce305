"""Export a model for use elsewhere.

python pipelines/export.py model=champion folder=pets_model
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import contextlib
import itertools
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.runtime.schema import BadInput, parameter
from pipelines.dag import PETS
from pipelines.engine.command import command, open_store

log = logging.getLogger("pipelines.export")  # whether run or imported

IMAGES_AT_MOST = 256  # to check on


@dataclass(frozen=True)
class Export:
    """Export a model: Keras, SavedModel and TensorFlow Lite, each checked; a model card; a folder
    for ClearML Serving.

    Exit code 1 if a format did not pass its check: the others are there.
    """

    model: str = parameter()
    """The champion (without one the newest model), latest, a reference, the folder of a run or of a
    model, or a model.keras."""
    folder: str = parameter()
    "The new folder."
    images: str | None = parameter()
    "Photos to check the formats on: a file, folder or pattern; null: made-up images."
    licence: str | None = parameter()
    "The licence of the weights, for the model card."


def work(settings: Any) -> None:
    """Export, and tell where."""
    target = Path(settings.folder).expanduser()
    if os.path.lexists(target):
        raise BadInput(f"folder={target}: exists already; name another one, or remove it")
    if not target.resolve().parent.is_dir():
        raise BadInput(f"folder={target}: there is no folder {target.parent}")
    photos = []
    if settings.images is not None and not settings.images.strip():
        raise BadInput("images=: names none; give an image, a folder or a pattern, or leave it out")
    if settings.images is not None:
        from components.predict.sources import find_images

        photos = list(itertools.islice(find_images(settings.images)[0], IMAGES_AT_MOST))
    from components.predict.models import find_model

    with contextlib.redirect_stdout(sys.stderr):  # ClearML tells there what it downloads
        store = open_store(settings.run)
        found = find_model(settings.model, store)
        dataset = store.dataset_info(found.info.get("dataset", ""))
    with _new_folder(target) as folder:
        from components.export.card import Known
        from components.export.export import export_model

        known = Known(dataset, found.metrics or None, found.evaluation, settings.licence)
        problems = export_model(found.folder, folder, photos, known, settings.run.project)
    log.info("%s: %s", target, ", ".join(sorted(path.name for path in target.iterdir())))
    if problems:
        sys.exit(1)


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder that appears under its name when all is written."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.mkdir()
        except OSError as error:
            raise BadInput(f"folder={target}: can't be written ({error.strerror})") from None
        yield temporary
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    command(PETS, Export, "export", work)
