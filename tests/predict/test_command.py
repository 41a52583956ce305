"""`pipelines/predict.py` as a person runs it, in a copy of the checkout."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from components.evaluate.calibration import with_temperature
from components.runtime import storage
from components.runtime.schema import BadInput
from components.runtime.stores import Artifact
from components.train.artifact import model_artifact
from pipelines.dag import PETS
from pipelines.engine import command
from pipelines.predict import Predict, work
from tests.checkout import Checkout
from tests.predict.builders import CLASSES, draw_photos, untrained


def published_model(store: storage.LocalStore) -> str:
    """The reference of a model that was never trained."""
    model = untrained(store.temporary / "model")
    return store.publish(model, model_artifact(model, ""))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """With photos, one of them broken, and a published model that is the champion."""
    checkout = Checkout(tmp_path_factory.mktemp("predict"))
    draw_photos(checkout.root / "photos (ä)", 5)
    (checkout.root / "photos (ä)" / "002.jpg").write_bytes(b"hello")
    return checkout


@pytest.fixture(scope="module")
def model(checkout: Checkout) -> str:
    """Its reference."""
    store = storage.LocalStore(checkout.root / "outputs")
    reference = published_model(store)
    store.champions.choose(reference)
    return reference


def predict(checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    return checkout.python("pipelines/predict.py", *arguments)


def refusal(checkout: Checkout, *arguments: str) -> str:
    """The one line that these arguments get; nothing is written."""
    before = sorted(checkout.root.iterdir())
    done = predict(checkout, *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert sorted(checkout.root.iterdir()) == before
    (line,) = done.stderr.splitlines()
    return line.removeprefix("error: ")


def test_the_champion_predicts_a_folder(checkout: Checkout, model: str) -> None:
    done = predict(checkout, "images=photos (ä)")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["path"] for row in rows] == [f"photos (ä)/00{n}.jpg" for n in (0, 1, 3, 4)]
    for row in rows:
        probabilities = [float(row[name]) for name in CLASSES]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert row["predicted"] == CLASSES[probabilities.index(max(probabilities))]
    assert done.stderr.splitlines() == [
        "photos (ä)/002.jpg: is not an image; skipped",
        "4 images predicted, 1 skipped",
    ]


def test_a_file_of_json_for_paths_from_standard_input(checkout: Checkout, model: str) -> None:
    names = ["photos (ä)/004.jpg", "photos (ä)/000.jpg"]
    arguments = [f"model={model}", "images=-", "output=jsonl", "file=rows.jsonl", "batch_size=1"]
    done = subprocess.run(
        [sys.executable, "pipelines/predict.py", *arguments],
        cwd=checkout.root,
        env=os.environ | {"PYTHONPATH": str(checkout.root)},
        input="\n".join(names).encode(),
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""
    written = checkout.root / "rows.jsonl"
    rows = [json.loads(line) for line in written.read_text().splitlines()]
    assert [row["path"] for row in rows] == names
    assert set(rows[0]["probabilities"]) == set(CLASSES)
    before = written.read_bytes()
    line = refusal(checkout, f"model={model}", "images=photos (ä)", "file=rows.jsonl")
    assert line == "file=rows.jsonl: exists already; name another file, or remove it"
    assert written.read_bytes() == before


def test_a_file_is_written_whole_or_not_at_all(
    checkout: Checkout, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.root)
    images = "images=photos (ä)/002.jpg"
    folder = f"model=outputs/{model}"
    settings = command.read(PETS, Predict, "predict", [images, folder, "file=none.csv"])
    with pytest.raises(BadInput, match=r"002\.jpg: none of 1 files is a readable image"):
        work(settings)
    assert not list(checkout.root.glob("*none.csv*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("images=nowhere",), "images=nowhere: there is no such file or folder"),
        (("images=*.bmp",), "images=*.bmp: the pattern matches no file"),
        (("images=",), "images=: names none; give an image, a folder, a pattern, or - for a list"),
        (("images=data/test", "model="), "model=: names none; give champion, latest, "),
        (("images=data/test", "threshold=1.5"), "threshold=1.5: expected a number >= 0 and <= 1"),
        (("images=data/test", "gallery=conf"), "gallery=conf: exists already; name another file"),
        (("images=data/test", "gallery=-"), "gallery=-: a page can't go where the rows go"),
        (("images=data/test", "gallery=a.csv", "file=./a.csv"), "gallery=a.csv: is the file of "),
        ((), "images: no value is given; set images=..."),
        (("images=data/test", "model=models/x"), "models/x: nothing of that name is in "),
        (("images=data/test", "output=xml"), "output=xml: expected one of csv, jsonl"),
        (("images=data/test", "file=none/rows.csv"), "file=none/rows.csv: there is no folder none"),
    ],
)
def test_a_mistake_is_told(checkout: Checkout, arguments: tuple[str, ...], words: str) -> None:
    assert refusal(checkout, *arguments).startswith(words)


def test_no_champion_yet(checkout: Checkout) -> None:
    line = refusal(checkout, "images=data/test", "run.outputs=elsewhere")
    assert line == (
        "model=champion: there is no champion and no model yet; "
        "train one: python pipelines/pets_pipeline.py"
    )


def test_without_a_champion_the_newest_model_is_taken_and_told(checkout: Checkout) -> None:
    store = storage.LocalStore(checkout.root / "young")
    reference = published_model(store)
    done = predict(checkout, "images=photos (ä)/000.jpg", "run.outputs=young", "file=-")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == (
        f"there is no champion yet; the newest model is taken: {reference}"
    )
    assert done.stdout.splitlines()[0] == "path,predicted,cat,dog"  # - is standard output
    assert not (checkout.root / "-").exists()


def test_what_is_not_probable_enough_is_none_of_them(
    checkout: Checkout, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.root)
    rows = {}
    for name, threshold in (("all", "null"), ("some", "0.9")):
        arguments = [f"file={name}.csv", f"gallery={name}.html", f"threshold={threshold}"]
        work(command.read(PETS, Predict, "predict", ["images=photos (ä)", *arguments]))
        with (checkout.root / f"{name}.csv").open() as file:
            rows[name] = list(csv.DictReader(file))
    named = []
    for before, after in zip(rows["all"], rows["some"], strict=True):
        best = max(float(before[name]) for name in CLASSES)
        assert after == before | ({} if best >= 0.9 else {"predicted": "none of them"})
        named.append(after["predicted"] == "none of them")
    assert any(named) and not all(named)
    page = (checkout.root / "some.html").read_text()
    assert page.count("<b>none of them</b>") == 1 + sum(named)
    assert "none of them" not in (checkout.root / "all.html").read_text()


def test_an_evaluation_that_calibrated_its_model_calibrates_predictions(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(checkout.root)
    caplog.set_level("INFO")
    store = storage.LocalStore(checkout.root / "calibrated")
    published_model(store)

    def predicted(name: str) -> np.ndarray:
        arguments = ["images=photos (ä)", "model=latest", "run.outputs=calibrated"]
        work(command.read(PETS, Predict, "predict", [*arguments, f"file={name}.csv"]))
        with (checkout.root / f"{name}.csv").open() as file:
            return np.array([[float(row[c]) for c in CLASSES] for row in csv.DictReader(file)])

    raw = predicted("raw")
    folder = store.temporary / "evaluation"
    folder.mkdir()
    told = {"model": "beef" * 16, "temperature": {"temperature": 2.5, "applied": True}}
    (folder / "metrics.json").write_text(json.dumps(told))
    reference = store.publish(folder, Artifact("evaluation"))
    np.testing.assert_allclose(predicted("scaled"), with_temperature(raw, 2.5), atol=1e-5)
    assert f"calibrated with temperature 2.5 of {reference}" in caplog.messages
