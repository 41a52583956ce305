"""A folder that ClearML Serving takes: the model, the code for a request, and the commands."""

from __future__ import annotations

import shutil
from pathlib import Path

from components.imaging import decoding
from components.imaging.decoding import Recipe
from components.imaging.html import filled

ALLOWED = "SERVING_IMAGE_URLS"  # environment variable of a container that serves


def write_serving(
    folder: Path, tflite: Path, recipe: Recipe, classes: list[str], project: str
) -> None:
    """Fill the new `folder`."""
    folder.mkdir()
    shutil.copyfile(tflite, folder / "model.tflite")
    (folder / "preprocess.py").write_text(shipped("preprocess.py.jinja", recipe), encoding="utf-8")
    share = round(1 / len(classes), 2)
    answer = {"predicted": classes[0], "probabilities": dict.fromkeys(classes, share)}
    values = dict(
        name=f"{project} classifier",
        project=project,
        endpoint="".join(c if c.isalnum() else "_" for c in project).lower(),
        answer=str(answer).replace("'", '"'),
        allowed=ALLOWED,
    )
    text = filled(Path(__file__).with_name("serving.md.jinja"), values)
    (folder / "README.md").write_text(text, encoding="utf-8")


def shipped(template: str, recipe: Recipe) -> str:
    """A module for those who use the model without this project: its imports of `decoding`, too.

    `prepare.py.jinja` is for everybody, `preprocess.py.jinja` for ClearML Serving.
    """
    code = Path(decoding.__file__).read_text(encoding="utf-8")
    code = code.partition("from __future__ import annotations\n")[2].strip()
    values = {"code": code, "recipe": recipe, "allowed": ALLOWED}
    return filled(Path(__file__).with_name(template), values)
