"""A folder that ClearML Serving takes: the model, the code for a request, and the commands."""

from __future__ import annotations

import shutil
from pathlib import Path

from components.export import preprocess
from components.export.templates import render
from components.imaging import decoding
from components.imaging.decoding import Recipe


def write_serving(
    folder: Path, tflite: Path, recipe: Recipe, classes: list[str], project: str
) -> None:
    """Fill the new `folder`."""
    folder.mkdir()
    shutil.copyfile(tflite, folder / "model.tflite")
    (folder / "preprocess.py").write_text(preprocess_code(recipe), encoding="utf-8")
    share = round(1 / len(classes), 2)
    answer = {"predicted": classes[0], "probabilities": dict.fromkeys(classes, share)}
    text = render(
        "serving.md.jinja",
        name=f"{project} classifier",
        project=project,
        endpoint="".join(c if c.isalnum() else "_" for c in project).lower(),
        answer=str(answer).replace("'", '"'),
        allowed=preprocess.ALLOWED,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def prepare_code(recipe: Recipe) -> str:
    """One file for everybody who uses the model without this project."""
    return render("prepare.py.jinja", code=_decoding(), recipe=recipe)


def preprocess_code(recipe: Recipe) -> str:
    """The module `preprocess` as one file without imports of this project."""
    code = Path(preprocess.__file__).read_text(encoding="utf-8")
    for old, new in (
        ("from components.imaging.decoding import Recipe, as_trained\n", f"{_decoding()}\n"),
        (f"RECIPE = {preprocess.RECIPE}\n", f"RECIPE = {recipe}\n"),
    ):
        old = old.replace("'", '"')
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    return code


def _decoding() -> str:
    """The module `decoding` without its first lines."""
    code = Path(decoding.__file__).read_text(encoding="utf-8")
    return code.partition("from __future__ import annotations\n")[2].strip()
