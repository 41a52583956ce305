"""Which model a person means, and which evaluation tells its temperature."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from components.predict.models import find_model
from components.runtime.schema import BadInput
from components.runtime.stores import Artifact
from components.runtime.stores.local_store import LocalStore

CONTENT = "beef" * 16


def publish(store: LocalStore, name: str, content: str = CONTENT) -> str:
    """A model's folder, which nobody loads here."""
    folder = store.temporary / name
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"weights")
    info = {"classes": ["cat"], "architecture": name, "content": content}
    (folder / "model.json").write_text(json.dumps(info))
    return store.publish(folder, Artifact("model", name, content=content))


def evaluate(store: LocalStore, temperature: float, applied: bool, content: str = CONTENT) -> str:
    folder = store.temporary / "evaluation"
    folder.mkdir(parents=True)
    calibration = {"temperature": temperature, "applied": applied}
    metrics = {"model": content, "temperature": calibration}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return store.publish(folder, Artifact("evaluation"))


def run_of(outputs: Path, **made: str) -> Path:
    """A run's folder, whose stages made these references."""
    run = outputs / "2026-01-01" / "10-00-00"
    run.mkdir(parents=True)
    told = [{"stage": stage, "reference": reference} for stage, reference in made.items()]
    (run / "stages.json").write_text(json.dumps(told))
    return run


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "outputs")


def test_champion_latest_and_a_reference(
    store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = publish(store, "old"), publish(store, "new", "dead" * 16)
    assert find_model("latest", store).name == second
    assert not caplog.records
    assert find_model("champion", store).name == second
    (told,) = caplog.messages
    assert told == f"there is no champion yet; the newest model is taken: {second}"
    store.champions.choose(first)
    caplog.clear()
    assert find_model("champion", store).name == first
    assert find_model(second, store).folder == store.outputs / second
    assert not caplog.records


def test_the_folder_of_a_run_its_file_and_the_folder_of_a_model(store: LocalStore) -> None:
    reference = publish(store, "net")
    mine = evaluate(store, 1.5, True)
    evaluate(store, 2.5, True)  # newer, of another dataset
    run = run_of(store.outputs, ingest="datasets/x", train=reference, evaluate=mine)
    shutil.copy(store.outputs / reference / "model.keras", run)
    for model in (run, run / "model.keras"):
        found = find_model(str(model), store)
        assert (found.folder, found.evaluation) == (store.outputs / reference, mine)
        assert found.temperature == 1.5
    for folder in (store.outputs / reference, store.outputs / reference / "model.keras"):
        assert find_model(str(folder), store).temperature == 2.5  # of the newest evaluation


def test_a_run_in_other_outputs_knows_its_model_and_evaluation(tmp_path: Path) -> None:
    elsewhere = LocalStore(tmp_path / "moved")
    made = {"train": publish(elsewhere, "net"), "evaluate": evaluate(elsewhere, 1.5, True)}
    run = run_of(elsewhere.outputs, **made)
    found = find_model(str(run), LocalStore(tmp_path / "outputs"))
    assert (found.folder, found.temperature) == (elsewhere.outputs / made["train"], 1.5)


def test_a_temperature_that_was_not_applied_or_of_another_model_is_none(store: LocalStore) -> None:
    reference = publish(store, "net")
    assert find_model(reference, store).evaluation == ""
    evaluate(store, 3.0, True, content="dead" * 16)
    assert find_model(reference, store).temperature is None
    known = evaluate(store, 1.5, False)
    found = find_model(reference, store)
    assert (found.evaluation, found.temperature) == (known, None)


@pytest.mark.parametrize("damage", ["", "{", "[1]", "null"])
def test_a_damaged_description_is_left_to_those_who_need_it(
    store: LocalStore, tmp_path: Path, damage: str
) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "model.keras").write_bytes(b"weights")
    (tmp_path / "net" / "model.json").write_text(damage)
    assert find_model(str(tmp_path / "net"), store)[2:] == ({}, "", {})


def test_a_run_that_only_evaluated_has_the_model_that_it_started_from(store: LocalStore) -> None:
    run = run_of(store.outputs, evaluate=evaluate(store, 1.5, True))
    (run / "model.keras").write_bytes(b"weights")
    assert find_model(str(run), store).folder == run


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("", "model=: names none; give champion, latest, a reference, "),
        (" ", "model=: names none"),
        ("champion", "model=champion: there is no champion and no model yet; train one: "),
        ("latest", "model=latest: there is no model yet; train one: "),
        ("models/x", "models/x: nothing of that name is in "),
        ("folder", "model=.*folder: has no model.keras, and is no run's folder"),
        ("net.keras", "model=.*net.keras: a model's file is named model.keras; give it, or "),
        ("server", "model=.*server: the model of this run is not here; .* add run=local"),
        ("damaged", "model=.*damaged: its stages.json is damaged; name the model itself"),
        ("ingested", "model=.*ingested: this run made no model; name another run, or a model"),
    ],
)
def test_what_is_no_model_is_told(
    store: LocalStore, tmp_path: Path, model: str, words: str
) -> None:
    stages = {
        "server": '[{"stage": "train", "reference": "0123abcd"}]',
        "damaged": '{"stage": 1}',
        "ingested": '[{"stage": "ingest", "reference": "datasets/raw"}]',
    }
    (tmp_path / "folder").mkdir()
    (tmp_path / "net.keras").touch()
    for name, text in stages.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "stages.json").write_text(text)
    here = tmp_path / model
    with pytest.raises(BadInput, match=words):
        find_model(str(here) if model.strip() and here.exists() else model, store)
