"""An interrupted training ends with the weights of an undisturbed one, however it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.train.fit import train_classifier
from tests.train.helpers import settings

ROOT = Path(__file__).parents[2]


class Crash(Exception):
    """What the training dies of in these tests."""


def run_child(**task: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tests.train.child", json.dumps(task, default=str)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def crash_after(last: int):
    """A callback that raises after epoch `last`."""

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == last:
            raise Crash

    return on_epoch


@pytest.fixture(scope="module")
def changes(trained: Path) -> dict:
    """Two phases with all that has a state: dropout, moving average, patience, schedule."""
    return dict(
        weights=str(trained / "model.keras"),
        epochs=2,
        cached_views=2,
        fine_tune_epochs=3,
        fine_tune_blocks=1,
        dropout=0.3,
        ema=0.8,
        schedule="cosine",
        patience=3,
        mixup=0.2,
    )


@pytest.fixture(scope="module")
def undisturbed(dataset: Path, changes: dict, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What the same training gives without an interruption or checkpoints."""
    return train_classifier(dataset, tmp_path_factory.mktemp("whole"), settings(**changes))


def test_a_training_that_crashes_after_every_epoch(
    dataset: Path, changes: dict, undisturbed: dict, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "checkpoints"
    for last in (1, 2, 4):
        with pytest.raises(Crash):
            train_classifier(dataset, tmp_path, settings(**changes), crash_after(last), checkpoints)
        assert [file.name for file in checkpoints.iterdir()] == ["checkpoint.npz"]
    seen = []
    result = train_classifier(
        dataset, tmp_path, settings(**changes), lambda epoch, _: seen.append(epoch), checkpoints
    )
    assert seen == [1, 2, 3, 4, 5]
    assert result["content"] == undisturbed["content"]
    assert result["validation"] == undisturbed["validation"]
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 6
    again = train_classifier(dataset, tmp_path, settings(**changes), checkpoints=checkpoints)
    assert again["content"] == undisturbed["content"]


@pytest.mark.parametrize("name", ["SIGKILL", pytest.param("SIGTERM", marks=pytest.mark.slow)])
def test_a_process_that_is_killed(
    name: str, dataset: Path, changes: dict, undisturbed: dict, tmp_path: Path
) -> None:
    number = getattr(signal, name)
    checkpoints = tmp_path / "checkpoints"
    task = dict(dataset=dataset, folder=tmp_path, settings=changes, checkpoints=checkpoints)
    ended = run_child(**task, signal=number, after=3)
    assert ended.returncode == -number, ended.stderr
    result = train_classifier(dataset, tmp_path, settings(**changes), checkpoints=checkpoints)
    assert result["content"] == undisturbed["content"]


@pytest.mark.parametrize("damage", ["half", "empty", "other"])
def test_a_checkpoint_that_cannot_be_used_is_not(
    damage: str, dataset: Path, trained: Path, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "checkpoints"
    if damage == "other":
        other = settings(seed=3, epochs=1)
        train_classifier(dataset, tmp_path, other, checkpoints=checkpoints)
    else:
        with pytest.raises(Crash):
            train_classifier(dataset, tmp_path, settings(), crash_after(1), checkpoints)
        file = checkpoints / "checkpoint.npz"
        os.truncate(file, file.stat().st_size // 2 if damage == "half" else 0)
    result = train_classifier(dataset, tmp_path, settings(), checkpoints=checkpoints)
    assert result["content"] == json.loads((trained / "model.json").read_text())["content"]
