"""Features of images by a backbone that does not change: computed once, kept, and taken again.

An image's features depend on its stored bytes, the backbone and the view alone. On a CPU each goes
through the network by itself: in a batch the last bits depend on an image's place.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.imaging.dataloader import OnDisk
from components.imaging.framework import keras, tf
from components.networks.augmentation import PARTS, Augment, augment_images
from components.networks.parameters import Features
from components.networks.variables import values
from components.runtime.files import read_json, write_json
from components.runtime.progress import progress
from components.runtime.schema import BadInput
from components.runtime.stores import Store

log = logging.getLogger(__name__)

BATCH = 16  # images: more takes memory and is no faster
FACTS, IMAGES, VIEW = "features.json", "images.npy", "view_{}.npy"


class View(NamedTuple):
    """A way to look at an image: as it is, or augmented by draws from `about` and its bytes."""

    augment: Augment | None = None
    about: str = ""  # all that it depends on beside the image

    def seed(self, image: bytes) -> np.ndarray:
        """[2] int32 for the image of that sha256."""
        digest = hashlib.sha256(self.about.encode() + image).digest()
        return np.frombuffer(digest[:8], "<i4")


PLAIN = View()


def views_of(settings: Features) -> list[View]:
    """The image itself and augmented ones, as many as `cached_views`; alone without augmentation.

    A view stays the same when more are added.
    """
    augment = augment_images(settings)
    names = sorted({name for fields in PARTS.values() for name in fields} | {"seed"})
    about = {name: getattr(settings, name) for name in names}
    more = range(1, settings.cached_views if augment else 1)
    return [PLAIN, *(View(augment, json.dumps([number, about])) for number in more)]


def backbone_hash(backbone: keras.Model) -> str:
    """sha256 of what a backbone computes: its layers, their weights, and the size of its images.

    A copy has them in another order, and names those that need no weights and no offset anew.
    """
    digest = hashlib.sha256(json.dumps(backbone.input_shape[1:]).encode())
    named = {layer.name: layer for layer in backbone.layers}
    for name, layer in sorted(named.items()):
        offset = getattr(layer, "offset", None)
        if not layer.weights and offset is None:
            continue
        digest.update(json.dumps([name, type(layer).__name__, offset]).encode())
        for value in values(layer.weights):
            digest.update(value.tobytes())
    return digest.hexdigest()


class Published:
    """Features in a folder: of `IMAGES`, training ones first, of which alone there may be views."""

    def __init__(self, folder: Path) -> None:
        """OSError, ValueError or KeyError when there are none that can be read."""
        self._folder, self._views = folder, read_json(folder / FACTS)["views"]
        hashes = np.load(folder / IMAGES)
        self._rows = {image.tobytes(): row for row, image in enumerate(hashes)}

    def find(self, key: str, images: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """The features [M, F] of a view, and for each image its row there, -1 for none."""
        if key not in self._views:
            return np.empty((0, 0), np.float32), np.full(len(images), -1)
        features = np.load(self._folder / VIEW.format(self._views.index(key)), mmap_mode="r")
        rows = np.array([self._rows.get(image, -1) for image in images])
        return features, np.where(rows < len(features), rows, -1)


class Extractor:
    """Features by one backbone, taken from what is known of it, else computed."""

    def __init__(
        self, backbone: str, network: Callable[[], keras.Model], known: Iterable[Path] = ()
    ) -> None:
        """`backbone` is the hash of `network`, which is asked for when there is something to do.

        `known` are folders of `save_features`, opened one by one while an image is missing.
        """
        self.backbone, self._network = backbone, network
        self._waiting: Iterator[Path] = iter(known)
        self._opened: list[Published] = []
        self.computed = 0  # images, each view counted

    def key(self, view: View) -> str:
        """The hash of all that the features of a view depend on beside the image."""
        return hashlib.sha256(f"{self.backbone} {view.about}".encode()).hexdigest()

    def __call__(self, images: OnDisk, view: View = PLAIN, told: str = "") -> np.ndarray:
        """Features [N, F] float32, perhaps in a file; `told` is of the progress bar."""
        hashes = images.hashes
        missing, parts = np.arange(len(hashes)), []
        for published in self._known():
            features, rows = published.find(self.key(view), [hashes[row] for row in missing])
            in_order = rows[0] >= 0 and (rows == rows[0] + np.arange(len(rows))).all()
            if in_order and len(rows) == len(hashes):
                return features[rows[0] : rows[0] + len(rows)]  # as they lie in the file
            parts.append((missing[rows >= 0], features[rows[rows >= 0]]))
            missing = missing[rows < 0]
            if not len(missing):
                break
        if len(missing):
            parts.append((missing, self._compute(images, missing, view, told)))
        found = np.empty((len(hashes), parts[-1][1].shape[1]), np.float32)
        for rows, part in parts:
            if len(rows):
                found[rows] = part
        return found

    def _known(self) -> Iterator[Published]:
        yield from self._opened
        for folder in self._waiting:
            try:
                self._opened.append(Published(folder))
            except (OSError, ValueError, KeyError) as error:
                log.warning("%s: its features can't be read (%s)", folder, error)
                continue
            yield self._opened[-1]

    def _compute(self, images: OnDisk, rows: np.ndarray, view: View, told: str) -> np.ndarray:
        source = images.loaded if 2 * len(rows) > len(images.images) else images
        size = (images.height, images.width)
        compute = self._function(view.augment, size)
        seeds = np.array([view.seed(images.hashes[row]) for row in rows])
        batches = source.batches(rows, BATCH).map(lambda pixels, _: pixels)
        steps = -(-len(rows) // BATCH)
        label = f"features of {images.images[0].split}{told}"
        done = [
            compute(pixels, seeds[step * BATCH :][: len(pixels)]).numpy()
            for step, pixels in enumerate(progress(batches, total=steps, label=label))
        ]
        self.computed += len(rows)
        return np.concatenate(done)

    def _function(
        self, augment: Augment | None, size: tuple[int, int]
    ) -> Callable[[tf.Tensor, np.ndarray], tf.Tensor]:
        """(uint8 images [B, H, W, 3], seeds [B, 2]) to features [B, F] float32.

        The weights are constants of the graph, so that TensorFlow folds batch norm into the
        convolutions.
        """
        backbone = self._network()
        weights = values(backbone.variables)
        by_itself = not tf.config.list_physical_devices("GPU")  # which would wait for each

        def each(function: Callable, *batch: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(
                lambda one: function(*(value[None] for value in one))[0],
                batch,
                parallel_iterations=BATCH,
                fn_output_signature=tf.float32,
            )

        def extract(images: tf.Tensor) -> tf.Tensor:
            return tf.cast(backbone(images, training=False), tf.float32)

        def compute(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
            images = tf.cast(images, tf.float32)
            if augment:
                images = each(lambda image, seed: augment(image, seed[0]), images, seeds)
            constants = map(tf.constant, weights)
            with keras.StatelessScope(zip(backbone.variables, constants, strict=True)):
                return each(extract, images) if by_itself else extract(images)

        shapes = [tf.TensorSpec([None, *size, 3], tf.uint8), tf.TensorSpec([None, 2], tf.int32)]
        return tf.function(compute, shapes, autograph=False)


def fetched(store: Store, reference: str) -> Iterator[Path]:
    """The folder of published features, if a reference is given and they are still there."""
    if reference:
        try:
            yield store.fetch(reference)
        except (BadInput, OSError, ValueError) as error:  # they can be computed
            log.warning("features %s: %s", reference, error)


def save_features(
    extract: Extractor, splits: list[OnDisk], views: list[View], folder: Path
) -> None:
    """Fill `folder`: all images as they are, the first split, of training images, in all views."""
    hashes = [image for images in splits for image in images.hashes]
    np.save(folder / IMAGES, np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32))
    for number, view in enumerate(views):
        told = f", view {number + 1} of {len(views)}"
        some = splits if view == PLAIN else splits[:1]
        features = [extract(images, view, told) for images in some]
        np.save(folder / VIEW.format(number), np.concatenate(features))
    facts = {
        "backbone": extract.backbone,
        "views": [extract.key(view) for view in views],
        "width": features[0].shape[1],
        "counts": {images.images[0].split: len(images.images) for images in splits},
    }
    write_json(folder / FACTS, facts)
