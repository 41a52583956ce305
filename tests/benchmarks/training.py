"""Measure training against plain Keras scripts: time to an accuracy, and images per second.

    python tests/benchmarks/training.py [--data FOLDER] [--repeat 1] [--epochs 8]

Every side runs in a process of its own, from process start to saved model; the sides take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

WEIGHTS = "weights/mobilenetv2_imagenet_notop.weights.h5"
BATCH = 32  # images, on both sides
FINE_SIZE, SMALL_SIZE = 160, 64  # pixels


def guide(folder: Path, weights: Path) -> dict[str, object]:
    """https://keras.io/guides/transfer_learning, its frozen phase, for 5 epochs."""
    import keras
    import tensorflow as tf
    from keras import layers

    size = (FINE_SIZE, FINE_SIZE)
    train, validation = directories(folder, FINE_SIZE)
    base = keras.applications.MobileNetV2(
        include_top=False, weights=str(weights), input_shape=(*size, 3)
    )
    base.trainable = False
    inputs = keras.Input((*size, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.RandomRotation(0.1)(x)
    x = base(layers.Rescaling(1 / 127.5, offset=-1)(x), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile(
        keras.optimizers.Adam(),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)],
    )
    autotune = tf.data.AUTOTUNE
    data = {"x": train.prefetch(autotune), "validation_data": validation.prefetch(autotune)}
    history = model.fit(**data, epochs=5, verbose=0).history
    model.save(folder / "guide.keras")
    return {"accuracy": history["val_accuracy"][-1]}


def plain(folder: Path, epochs: int) -> dict[str, object]:
    """The small ResNet by `Model.fit` on `image_dataset_from_directory`."""
    import tensorflow as tf

    from components.imaging.framework import keras
    from components.networks.models import build_classifier
    from tests.train.helpers import shipped

    layers = keras.layers
    settings = shipped(batch_size=BATCH, epochs=epochs)
    train, validation = directories(folder, SMALL_SIZE)
    classifier = build_classifier(settings, 2, (SMALL_SIZE, SMALL_SIZE))
    network = keras.Model(classifier.get_layer("resized").output, classifier.output)
    inputs = keras.Input((SMALL_SIZE, SMALL_SIZE, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.RandomTranslation(0.1, 0.1)(layers.RandomZoom(0.15)(layers.RandomRotation(0.04)(x)))
    x = layers.RandomContrast(0.1, value_range=(0, 255))(x)
    model = keras.Model(inputs, network(x))
    model.compile(
        keras.optimizers.Adam(settings.learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    seconds, starts = [], []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            starts.append(time.perf_counter())

        def on_test_begin(self, logs: dict | None = None) -> None:
            seconds.append(time.perf_counter() - starts[-1])

    autotune = tf.data.AUTOTUNE
    data = {"x": train.prefetch(autotune), "validation_data": validation.prefetch(autotune)}
    history = model.fit(**data, epochs=epochs, verbose=0, callbacks=[Watch()]).history
    images = len(list((folder / "train").rglob("*.jpg")))
    return {"rates": [images / s for s in seconds], "accuracy": history["val_accuracy"]}


def directories(folder: Path, size: int) -> tuple:
    """Training and validation data, as the guide reads them."""
    import keras

    common = dict(image_size=(size, size), batch_size=BATCH, verbose=False)
    read = keras.utils.image_dataset_from_directory
    return read(folder / "train", seed=1, **common), read(
        folder / "validation", shuffle=False, **common
    )


def ours(folder: Path, size: int, weights: Path | None, epochs: int) -> dict[str, object]:
    """`train_classifier` on the processed dataset, with the settings of conf/train/."""
    from components.train.fit import train_classifier
    from tests.train.helpers import shipped

    if weights:
        changes = dict(weights=weights, cached_views=1, fine_tune_epochs=0)
        settings = shipped("mobilenetv2", batch_size=BATCH, **changes)
    else:
        settings = shipped(batch_size=BATCH, epochs=epochs)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        train_classifier(
            folder / f"processed{size}", Path(name), settings, lambda _, row: rows.append(row)
        )
        accuracy = json.loads(Path(name, "model.json").read_text())["validation"]["accuracy"]
    return {
        "rates": [row["images_per_second"] for row in rows],
        "accuracy": accuracy if weights else [row["validation_accuracy"] for row in rows],
    }


def feeding(folder: Path) -> dict[str, object]:
    """Images per second that the input pipeline alone delivers, from memory and from shards."""
    import numpy as np

    from components.imaging import dataloader

    rates = {}
    for way, share in (("memory", 1.0), ("shards", 0.0)):
        dataloader.MEMORY_SHARE = share
        source = dataloader.load_source(folder / f"processed{SMALL_SIZE}", "train")
        order = np.random.default_rng(0).permutation(len(source.labels))
        start = time.perf_counter()
        count = sum(len(labels) for _, labels in source.batches(order, BATCH))
        rates[way] = count / (time.perf_counter() - start)
    return rates


def prepare(photos: Path, folder: Path, size: int, train: int, validation: int) -> float:
    """`folder/{train,validation}/<class>/` and `processed<size>` of it; seconds of the latter."""
    from components.ingest.audit import build_raw_dataset
    from components.preprocess.build import build_dataset
    from tests.ingest.builders import ingest_settings, preprocess_settings

    for label in ("cat", "dog"):
        files = sorted((photos / label).glob("*.jpg"))
        for split, some in (
            ("train", files[:train]),
            ("validation", files[train : train + validation]),
        ):
            target = folder / split / label
            target.mkdir(parents=True)
            for file in some:
                (target / file.name).hardlink_to(file)
    source = folder / "source"
    source.mkdir()
    for split in ("train", "validation"):
        (source / split).symlink_to(folder / split)
    start = time.perf_counter()
    raw, processed = folder / "raw", folder / f"processed{size}"
    raw.mkdir(), processed.mkdir()
    build_raw_dataset(ingest_settings(path=source), raw)
    changes = dict(image_size=size, images_per_file=1000, test_fraction=0.0)  # all train, as theirs
    build_dataset(raw, processed, preprocess_settings(**changes))
    return time.perf_counter() - start


def run(side: str, folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """One side in a fresh process."""
    command = [sys.executable, __file__, "--side", side, str(folder)]
    command += ["--data", str(arguments.data), "--epochs", str(arguments.epochs)]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, capture_output=True, text=True, env=quiet)
    if done.returncode:
        raise SystemExit(f"{side} failed\n{done.stderr}")
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    seconds = time.perf_counter() - start
    return json.loads(done.stdout.splitlines()[-1]) | {"seconds": seconds, "cpu": cpu}


def measure(side: str, folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Run one side in this process."""
    weights = arguments.data / WEIGHTS
    return {
        "guide": lambda: guide(folder, weights),
        "transfer": lambda: ours(folder, FINE_SIZE, weights, 0),
        "plain": lambda: plain(folder, arguments.epochs),
        "small": lambda: ours(folder, SMALL_SIZE, None, arguments.epochs),
        "feeding": lambda: feeding(folder),
    }[side]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side, folder = arguments.side
        print(json.dumps(measure(side, Path(folder), arguments)))
        return
    with tempfile.TemporaryDirectory() as name:
        with zipfile.ZipFile(arguments.data / "pets180.zip") as archive:
            archive.extractall(name)
        photos, fine, small = Path(name, "pets180"), Path(name, "fine"), Path(name, "small")
        before = prepare(photos, fine, FINE_SIZE, train=500, validation=200)
        for _ in range(arguments.repeat):
            theirs, own = run("guide", fine, arguments), run("transfer", fine, arguments)
            print(
                f"transfer: guide {theirs['seconds']:.1f} s (CPU {theirs['cpu']:.0f} s), accuracy "
                f"{theirs['accuracy']:.4f}; ours {own['seconds']:.1f} s (CPU {own['cpu']:.0f} s), "
                f"{own['accuracy']:.4f}: {theirs['seconds'] / own['seconds']:.1f}x sooner, "
                f"{theirs['seconds'] / (own['seconds'] + before):.1f}x with the {before:.1f} s of "
                "ingest and preprocess (goal: 4x)"
            )
        before = prepare(photos, small, SMALL_SIZE, train=3000, validation=500)
        for _ in range(arguments.repeat):
            theirs, own = run("plain", small, arguments), run("small", small, arguments)
            rates = [sorted(side["rates"])[len(side["rates"]) // 2] for side in (theirs, own)]
            print(
                f"small ResNet: plain fit {rates[0]:.0f} images/s, ours {rates[1]:.0f}: "
                f"{rates[1] / rates[0]:.2f}x (goal: 1.3x); after {arguments.epochs} epochs plain "
                f"{theirs['seconds']:.0f} s, accuracy {theirs['accuracy'][-1]:.3f}, ours "
                f"{own['seconds']:.0f} s, {own['accuracy'][-1]:.3f}"
            )
            print("accuracy by epoch, ours: " + " ".join(f"{a:.3f}" for a in own["accuracy"]))
        fed = run("feeding", small, arguments)
        print(
            f"input pipeline alone: {fed['memory']:.0f} images/s from memory, "
            f"{fed['shards']:.0f} decoded from shards (goal: above {rates[1]:.0f})"
        )


if __name__ == "__main__":
    main()
