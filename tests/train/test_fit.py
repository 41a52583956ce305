"""The real training loop on tiny data: what it leaves, and that it can be repeated."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from components.imaging.dataloader import load_split
from components.imaging.framework import keras, tf
from components.runtime.schema import BadInput
from components.train import phases
from components.train.fit import out_of_memory, train_classifier
from components.train.history import COLUMNS
from tests.train.helpers import PLAIN, make_dataset, probabilities, settings


def test_a_model_is_what_the_contract_says(trained: Path) -> None:
    info = json.loads((trained / "model.json").read_text())
    assert info["classes"] == ["disc", "square"]
    assert info["epochs"] == info["best_epoch"] == 2
    assert info["parameters"]["seed"] == 1
    with (trained / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["validation_loss"]) == info["validation"]["loss"]
    assert (trained / "augmentation.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_are_in_the_event_file_once(trained: Path) -> None:
    (file,) = (trained / "tensorboard").iterdir()
    events = tf.compat.v1.train.summary_iterator(str(file))
    seen = [(value.tag, event.step) for event in events for value in event.summary.value]
    assert sorted(seen) == sorted((name, epoch) for name in COLUMNS[1:] for epoch in (1, 2))


def test_the_saved_model_takes_images_of_any_size(trained: Path, dataset: Path) -> None:
    model = keras.saving.load_model(trained / "model.keras", compile=False)
    info = json.loads((trained / "model.json").read_text())
    images, labels = next(iter(load_split(dataset, "validation", 8)))
    predicted = probabilities(model, images)
    loss = -np.log(predicted[np.arange(8), labels]).mean()
    assert loss == pytest.approx(info["validation"]["loss"], rel=1e-4)
    np.testing.assert_array_equal(predicted, probabilities(model, images, training=False))
    larger = tf.image.resize(images, (48, 32), method="nearest")
    np.testing.assert_allclose(probabilities(model, larger).sum(axis=1), np.ones(8), rtol=1e-5)
    with zipfile.ZipFile(trained / "model.keras") as archive:
        assert b"components" not in archive.read("config.json")


def test_the_same_seed_gives_the_same_weights(trained: Path, dataset: Path, tmp_path: Path) -> None:
    again = train_classifier(dataset, tmp_path, settings())
    assert again["content"] == json.loads((trained / "model.json").read_text())["content"]
    other = train_classifier(dataset, tmp_path, settings(seed=2, epochs=1))
    assert other["content"] != again["content"]


def test_it_can_learn_its_training_images_by_heart(dataset: Path, tmp_path: Path) -> None:
    train_classifier(dataset, tmp_path, settings(epochs=25, **PLAIN))
    with (tmp_path / "history.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["accuracy"]) == 1
    assert float(last["loss"]) < 0.1


@pytest.mark.parametrize(
    "changes",
    [
        dict(optimizer="adamw", weight_decay=0.1, schedule="cosine", warmup_epochs=0.5, ema=0.9),
        dict(optimizer="sgd", gradient_clipping=0.5, mixup=0.4, cutmix=1.0, label_smoothing=0.1),
        dict(class_weights="balanced", crop=0.3, dropout=0.3, patience=1, batch_size=100),
        dict(precision="bfloat16", **PLAIN),
        pytest.param(dict(precision="float16", gradient_clipping=1.0), marks=pytest.mark.slow),
        pytest.param(dict(xla=True), marks=pytest.mark.slow),
    ],
    ids=lambda changes: "-".join(changes),
)
def test_every_option_trains(changes: dict, dataset: Path, tmp_path: Path) -> None:
    result = train_classifier(dataset, tmp_path, settings(**changes))
    assert np.isfinite(result["validation"]["loss"])
    assert 0 <= result["validation"]["accuracy"] <= 1


@pytest.mark.slow
def test_xla_and_plain_agree(dataset: Path, tmp_path: Path) -> None:
    losses = [
        train_classifier(dataset, tmp_path, settings(xla=xla))["validation"]["loss"]
        for xla in (False, True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_patience_restores_the_best_epoch(dataset: Path, tmp_path: Path) -> None:
    result = train_classifier(
        dataset, tmp_path, settings(epochs=9, patience=2, learning_rate=0.3, **PLAIN)
    )
    with (tmp_path / "history.csv").open() as file:
        losses = [float(row["validation_loss"]) for row in csv.DictReader(file)]
    assert result["validation"]["loss"] == min(losses)
    assert losses.index(min(losses)) + 1 == result["best_epoch"]
    assert len(losses) == result["epochs"] == min(9, result["best_epoch"] + 2)
    model = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    images, labels = next(iter(load_split(dataset, "validation", 8)))
    loss = -np.log(np.clip(probabilities(model, images)[np.arange(8), labels], 1e-7, 1)).mean()
    assert loss == pytest.approx(min(losses), rel=1e-3)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(
    dataset: Path, tmp_path: Path
) -> None:
    kept = []
    wild = settings(
        epochs=5, batch_size=24, learning_rate=1e30, schedule="cosine", warmup_epochs=1.0,
        optimizer="sgd", **PLAIN,
    )  # fmt: skip
    folder = tmp_path / "checkpoints"
    with pytest.raises(BadInput, match=r"train\.learning_rate.*NaN in epoch 2.*learning rate of"):
        train_classifier(
            dataset,
            tmp_path,
            wild,
            lambda epoch, _: kept.append((folder / "checkpoint.npz").read_bytes()),
            folder,
        )
    assert [(folder / "checkpoint.npz").read_bytes()] == kept


def test_out_of_memory_names_the_setting_to_change() -> None:
    with (
        pytest.raises(BadInput, match=r"train\.batch_size=8: out of memory"),
        out_of_memory(settings()),
    ):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating a tensor")


def test_a_dataset_without_validation_images_is_named(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", others=0)
    with pytest.raises(BadInput, match=r"no validation images.*preprocess\.validation_fraction"):
        train_classifier(data, tmp_path, settings())


def test_mixing_images_is_not_lost_on_cached_features(
    trained: Path, dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each image is mixed anew, so its features can't be kept: as if none were asked for."""
    caplog.set_level("INFO")
    contents = {}
    for views, mixup in ((0, 1.0), (1, 1.0), (0, 0.0)):
        changes = dict(weights=str(trained / "model.keras"), cached_views=views, mixup=mixup)
        result = train_classifier(dataset, tmp_path, settings(**changes, **PLAIN))
        contents[views, mixup] = result["content"]
    assert contents[1, 1.0] == contents[0, 1.0] != contents[0, 0.0]
    told = "features are not cached, as mixup and cutmix make each image anew"
    assert caplog.text.count(told) == 1


def test_one_call_an_epoch_computes_what_single_steps_do(
    trained: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = set()
    never = property(lambda _: False, lambda *_: None)
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
        changes = dict(weights=str(trained / "model.keras"), epochs=2, dropout=0.3)
        result = train_classifier(dataset, tmp_path / name, settings(**changes))
        contents.add(result["content"])
        monkeypatch.setattr(phases.Runner, "in_one_call", never, raising=False)
    assert len(contents) == 1
