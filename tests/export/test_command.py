"""`pipelines/export.py`: what it finds out about a model, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.export import export
from components.export.formats import FORMATS
from components.runtime import storage
from components.runtime.schema import BadInput
from components.runtime.stores import Artifact
from components.train.artifact import model_artifact
from pipelines.dag import PETS
from pipelines.engine import command
from pipelines.export import Export, work
from tests.evaluate.builders import CONTENT
from tests.export.conftest import DATASET, METRICS
from tests.predict.builders import untrained


def run(*arguments: str) -> None:
    work(command.read(PETS, Export, "export", list(arguments)))


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a champion, its dataset, and evaluations of it and of another model."""
    monkeypatch.chdir(tmp_path)
    store = storage.LocalStore(tmp_path / "outputs")
    model = untrained(store.temporary / "model")
    store.champions.choose(store.publish(model, model_artifact(model, "")))
    dataset = store.temporary / "dataset"
    dataset.mkdir(parents=True)
    (dataset / "dataset.json").write_text(json.dumps(DATASET))
    store.publish(dataset, Artifact("dataset", "processed", content=CONTENT))
    for content in ("beef" * 16, "dead" * 16):
        folder = store.temporary / content
        folder.mkdir()
        accuracy = 0.9 if content.startswith("beef") else 0.1
        metrics = METRICS | {"model": content, "accuracy": accuracy}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        store.publish(folder, Artifact("evaluation"))
    return tmp_path / "outputs"


def test_the_card_has_the_dataset_and_the_evaluation_of_the_champion(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FORMATS", ())  # which have tests of their own
    run("folder=out", "licence=MIT")
    card = Path("out/model_card.md").read_text()
    assert "| train | 61 | 62 |" in card
    assert "| accuracy | 0.900 | 0.810 | 0.950 |" in card
    assert card.endswith("## Licence\n\nMIT\n")
    assert sorted(path.name for path in Path().iterdir()) == ["out", "outputs"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["folder=outputs"], "folder=outputs: exists already"),
        (["folder=none/out"], "folder=none/out: there is no folder none"),
        (["folder=out", "model=models/x"], "models/x: nothing of that name"),
        (["folder=out", "model=broken"], "model.keras: is not a readable model"),
        (["folder=out", "images=nowhere"], "images=nowhere: there is no such file or folder"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    outputs: Path, arguments: list[str], words: str
) -> None:
    Path("broken").mkdir()
    Path("broken/model.keras").write_bytes(b"PK")
    with pytest.raises(BadInput, match=words):
        run(*arguments)
    assert sorted(path.name for path in Path().iterdir()) == ["broken", "outputs"]


def test_a_format_left_out_gives_exit_code_1(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise NotImplementedError

    formats = [format._replace(write=failing) for format in FORMATS]
    monkeypatch.setattr(export, "FORMATS", formats)
    with pytest.raises(SystemExit) as ended:
        run("folder=out")
    assert ended.value.code == 1
    assert Path("out/model.keras").is_file()
    assert not Path("out/model.tflite").exists()
