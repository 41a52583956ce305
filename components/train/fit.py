"""`train_classifier`: from a processed dataset to a model and what is to be known of it."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from components.imaging.dataloader import open_split
from components.imaging.dataset import load_images, load_info
from components.imaging.framework import keras, tf
from components.networks.features import Extractor, backbone_hash
from components.networks.heads import save_head
from components.networks.models import (
    FindWeights,
    backbone_and_head,
    build_classifier,
    with_class_names,
)
from components.networks.variables import copy_weights, values
from components.networks.weights import find_weights
from components.runtime.files import write_json
from components.runtime.schema import BadInput
from components.train import phases
from components.train.checkpoints import Checkpoints, Position
from components.train.hardware import all_devices, dtype_policy, make_repeatable
from components.train.history import History
from components.train.parameters import Train
from components.train.pictures import save_augmentation
from components.train.training_copy import training_copy

log = logging.getLogger(__name__)

OnEpoch = Callable[[int, dict[str, float]], None]


def train_classifier(
    dataset: Path,
    folder: Path,
    settings: Train,
    on_epoch: OnEpoch = lambda epoch, metrics: None,
    checkpoints: Path | None = None,
    find: FindWeights = find_weights,
    features: Iterable[Path] = (),
) -> dict[str, Any]:
    """Train on the processed dataset `dataset`, fill `folder`, return what `model.json` says.

    `on_epoch` gets the number of each complete epoch and its metrics. `checkpoints` is a folder
    that outlives this call: a later call with the same arguments goes on from the last complete
    epoch, and reports the earlier ones again first. `find` gives the file behind
    `train.weights`. `features` are folders that the stage of that name made: what is not there is
    computed, to the same bits on a CPU. Raises `BadInput`.
    """
    clock = Clock()
    make_repeatable(settings.seed)
    info = load_info(dataset)
    train, validation = open_split(dataset, "train"), open_split(dataset, "validation")
    first, _ = next(iter(train.batches(np.arange(1), 1)))
    save_augmentation(first[0].numpy(), settings, folder / "augmentation.png")
    strategy = all_devices()
    with clock("build"), strategy.scope():
        classifier = build(settings, info, find)
        backbone, _ = backbone_and_head(classifier)
        trained = fast_copy(classifier, settings, strategy.num_replicas_in_sync)
    history = History(folder)
    described = json.dumps([info["content"], asdict(settings)], sort_keys=True)

    def report(row: dict[str, float]) -> None:
        history.add(row)
        on_epoch(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"})

    with clock("fit"), out_of_memory(settings):
        position = phases.train(
            trained,
            train,
            validation,
            Extractor(backbone_hash(backbone), lambda: backbone, features),
            settings,
            strategy,
            report,
            Checkpoints(checkpoints, described),
        )
    history.close()
    with clock("save"):
        copy_weights(trained, classifier)
        save_model(with_class_names(classifier, info["classes"]), folder / "model.keras")
        save_head(classifier, info["classes"], folder)
    save_trained_on(dataset, folder)
    result = describe(classifier, info, settings, position)
    write_json(folder / "model.json", result)
    write_json(folder / "seconds.json", clock.seconds)
    return result


def build(settings: Train, info: dict[str, Any], find: FindWeights) -> keras.Model:
    """The classifier with its starting weights; `info` is that of the dataset."""
    made, size = info["parameters"], tuple(info["image_size"])
    stored_as = (made["format"], made["quality"])
    classes = len(info["classes"])
    return build_classifier(
        settings, classes, size, made["resize"], find, stored_as, settings.dropout
    )


def describe(
    classifier: keras.Model, info: dict[str, Any], settings: Train, position: Position
) -> dict[str, Any]:
    """What `model.json` says; `info` is that of the dataset."""
    best = position.history[position.best_epoch - 1]
    return {
        "classes": info["classes"],
        "architecture": settings.architecture,
        "image_size": info["image_size"],
        "parameters": asdict(settings),
        "dataset": info["content"],
        "content": content_hash(classifier, info),
        "validation": {name: best[f"validation_{name}"] for name in ("loss", "accuracy", "auc")},
        "epochs": len(position.history),
        "best_epoch": position.best_epoch,
    }


def save_trained_on(dataset: Path, folder: Path) -> None:
    """Which images the model has seen, by the sha256 of their files: no fair test of it has one."""
    seen = {i.sha256 for split in ("train", "validation") for i in load_images(dataset, split)}
    (folder / "trained_on.txt").write_text("".join(f"{sha256}\n" for sha256 in sorted(seen)))


def fast_copy(classifier: keras.Model, settings: Train, devices: int) -> keras.Model:
    """What trains in the classifier's stead; itself where a copy would gain nothing."""
    policy = dtype_policy(settings)
    backbone_trains = settings.weights is None or settings.fine_tune_epochs
    if policy == "float32" and not backbone_trains:
        return classifier
    return training_copy(classifier, policy, synchronized=devices > 1 and not settings.xla)


def save_model(model: keras.Model, path: Path) -> None:
    """Write a `.keras` file that tells the model alone.

    Keras also writes when it was, and where in memory objects were that layers share.
    """
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(parts["metadata.json"])
    parts["metadata.json"] = json.dumps({**about, "date_saved": ""}).encode()
    config, numbers = parts["config.json"].decode(), {}
    parts["config.json"] = re.sub(
        r'("shared_object_id": )(\d+)',
        lambda found: f"{found[1]}{numbers.setdefault(found[2], len(numbers) + 1)}",
        config,
    ).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def content_hash(model: keras.Model, info: dict[str, Any]) -> str:
    """sha256 of what a model is: its architecture, classes, input and all weights."""
    about = [model.name, info["classes"], info["image_size"], info["parameters"]["resize"]]
    digest = hashlib.sha256(json.dumps(about).encode())
    for value in values(model.weights):
        digest.update(value.tobytes())
    return digest.hexdigest()


@contextmanager
def out_of_memory(settings: Train) -> Iterator[None]:
    """Turn a failed allocation into `BadInput` that names the setting to change."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError):
        raise BadInput(
            f"train.batch_size={settings.batch_size}: out of memory with "
            f"train.architecture={settings.architecture}; halve train.batch_size, or make "
            "preprocess.image_size smaller"
        ) from None


class Clock:
    """Seconds by part of the work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[part] = round(time.perf_counter() - start, 3)
