"""A folder that ClearML Serving takes: the model, the code for a request, and the commands."""

from __future__ import annotations

import shutil
from pathlib import Path

from components.export import preprocess
from components.imaging import decoding
from components.imaging.decoding import Recipe

README = """\
# Serving this model with ClearML Serving

Checked with clearml-serving 1.3.5. Run these in this folder; `SERVICE` is the id that the first
command prints, `MODEL` the one that the second prints.

```bash
clearml-serving create --name "{name}"
clearml-serving --id SERVICE model upload --name "{name}" --project "{project}" \\
  --path model.tflite
clearml-serving --id SERVICE model add --engine custom --endpoint "{endpoint}" \\
  --model-id MODEL --preprocess preprocess.py
```

The container `clearml-serving-inference` needs a few packages. In ClearML Serving's `docker`
folder, with the credentials in `example.env`:

```bash
export CLEARML_SERVING_TASK_ID=SERVICE
export CLEARML_EXTRA_PYTHON_PACKAGES="ai-edge-litert pillow>=11.3 pillow-heif"
docker compose --env-file example.env -f docker-compose.yml up
```

Ask it (new endpoints take a minute to appear):

```bash
curl -X POST http://127.0.0.1:8080/serve/{endpoint} \\
  -H "Content-Type: image/jpeg" --data-binary @photo.jpg
curl -X POST http://127.0.0.1:8080/serve/{endpoint} \\
  -H "Content-Type: application/json" -d '{{"image": "<base64 of the file>"}}'
```

The answer: `{answer}`

`{{"url": "https://..."}}` works too for addresses that begin with one of those in the container's
environment variable `{allowed}` (comma-separated); none is allowed without it.
"""


PREPARE = '''"""From a photo to what the model takes: `as_trained(data, RECIPE)`, as in training.

Needs Pillow 11.3 or newer, and pillow-heif for the HEIC photos of phones.
"""

from __future__ import annotations

{code}

RECIPE = {recipe}
'''


def write_serving(
    folder: Path, tflite: Path, recipe: Recipe, classes: list[str], project: str
) -> None:
    """Fill the new `folder`."""
    folder.mkdir()
    shutil.copyfile(tflite, folder / "model.tflite")
    (folder / "preprocess.py").write_text(preprocess_code(recipe), encoding="utf-8")
    share = round(1 / len(classes), 2)
    answer = {"predicted": classes[0], "probabilities": dict.fromkeys(classes, share)}
    text = README.format(
        name=f"{project} classifier",
        project=project,
        endpoint="".join(c if c.isalnum() else "_" for c in project).lower(),
        answer=str(answer).replace("'", '"'),
        allowed=preprocess.ALLOWED,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def prepare_code(recipe: Recipe) -> str:
    """One file for everybody who uses the model without this project."""
    return PREPARE.format(code=_decoding(), recipe=recipe)


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
