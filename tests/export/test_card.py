"""The card says what is known, and its code works as it stands."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from components.export.card import Known, write_card
from components.predict.network import Classifier
from components.predict.prediction import predict_images
from tests.export.conftest import DATASET, METRICS


def test_the_card_tells_data_figures_and_licence(exported: Path) -> None:
    card = (exported / "model_card.md").read_text()
    for words in (
        "Dataset version `" + "c0ffee" * 10 + "` (pets).",
        "| train | 61 | 62 |\n| test | 30 | 30 |\n",
        "1 files were left out.",
        "On 60 test images that it was not trained on, with 95 %\nintervals (bootstrap):",
        "| accuracy | 0.900 | 0.810 | 0.950 |\n",
        "| cat: recall | 0.800 |  |  |\n",
        "The whole report: `evaluations/0123`.",
        "## Intended use",
        "## Limits",
        "## Licence\n\nCC BY 4.0\n",
    ):
        assert words in card
    assert re.search(r"TensorFlow Lite: probabilities of 8 photos differ from model.keras by", card)


def test_what_is_not_known_is_said(model: Path, tmp_path: Path) -> None:
    write_card(tmp_path, Classifier(model), model, Known(), [])
    card = (tmp_path / "model_card.md").read_text()
    assert "It is not at hand here, so its images were not counted." in card
    assert "No evaluation of this model is at hand here." in card
    assert "which chose the epoch and so flatter it: loss 0.500, accuracy 0.750." in card
    assert "## Licence\n\nNot stated." in card


def test_names_that_others_wrote_are_no_markup(model: Path, tmp_path: Path) -> None:
    name = "a|b_*c*[x](http://y)<b>`\n"
    literal = r"a\|b\_\*c\*\[x\](http://y)\<b\>\`\\n"
    measured = METRICS | {"per_class": {name: METRICS["per_class"]["cat"]}}
    data = DATASET | {"name": name}
    known = Known(data, measured | {"headline": "balanced_accuracy"}, name)
    write_card(tmp_path, Classifier(model), model, known, [])
    card = (tmp_path / "model_card.md").read_text()
    assert f"({literal})." in card
    assert f"| {literal}: recall | 0.800 |  |  |\n" in card
    assert "The whole report: `a|b_*c*[x](http://y)<b>'\\n`." in card
    assert card.index("| balanced accuracy |") < card.index("| accuracy |")


@pytest.mark.usefixtures("runtime")
def test_its_code_loads_and_predicts(
    exported: Path, photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run from top to bottom, as a reader would, on a photo."""
    here = shutil.copytree(exported, tmp_path / "export")
    shutil.copy(photos[3], here / "photo.jpg")
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))  # where a script would be
    blocks = re.findall(r"```python\n(.*?)```", (here / "model_card.md").read_text(), re.S)
    assert len(blocks) == 4
    (wanted,) = predict_images(Classifier(exported), [photos[3]], 1, 1)
    names, checked = {}, 0
    with contextlib.redirect_stdout(io.StringIO()):  # Keras' progress bar
        for block in blocks:
            assert "prepare" in block or len(block.splitlines()) == 3
            exec(block, names)
            if found := names.pop("probabilities", None):
                told = [float(found[name][0]) for name in ("cat", "dog")]
                np.testing.assert_allclose(told, wanted.probabilities, atol=1e-5)
                checked += 1
    assert checked == 3
