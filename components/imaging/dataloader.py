"""From a processed dataset on disk to batches of images, in the order that the caller wants.

The images are decoded once and kept in memory as bytes where they fit; a dataset that is larger
is read from its shards and decoded in parallel, each image when its turn comes.
"""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.imaging.dataset import Image, ShardReader, load_images, load_info
from components.imaging.framework import tf
from components.runtime.progress import progress
from components.runtime.schema import BadInput

MEMORY_SHARE = 0.25  # of this machine's memory, for decoded images of one split
DECODE_BATCH = 64  # images


@dataclass(frozen=True)
class InMemory:
    """Values [N, ...] and labels [N] (indices of classes) that are ready to be batched."""

    values: np.ndarray
    labels: np.ndarray

    def batches(self, order: np.ndarray, size: int, drop_last: bool = False) -> tf.data.Dataset:
        """Batches (values, labels) of the items `order`, in that order."""
        with tf.device("CPU:0"):
            values, labels = tf.convert_to_tensor(self.values), tf.convert_to_tensor(self.labels)
        rows = tf.data.Dataset.from_tensor_slices(order).batch(size, drop_remainder=drop_last)
        gathered = rows.map(lambda row: (tf.gather(values, row), tf.gather(labels, row)))
        return gathered.prefetch(2)


@dataclass(frozen=True)
class OnDisk:
    """The images of a split where they lie, decoded at each reading; labels as `InMemory`."""

    folder: Path
    images: list[Image]
    labels: np.ndarray
    height: int
    width: int

    def batches(self, order: np.ndarray, size: int, drop_last: bool = False) -> tf.data.Dataset:
        """Batches (images [B, H, W, 3] uint8, labels [B]) of the items `order`, in that order."""
        reader = ShardReader(self.folder)
        with tf.device("CPU:0"):
            labels = tf.convert_to_tensor(self.labels)

        def read(row: np.ndarray) -> bytes:
            return reader.read(self.images[int(row)])

        def load(row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.numpy_function(read, [row], tf.string), labels[row]

        def decode(data: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # PNG, too; accurate: to the bit what Pillow decodes, who does it for a prediction.
            pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
            return tf.ensure_shape(pixels, (self.height, self.width, 3)), label

        rows = tf.data.Dataset.from_tensor_slices(order)
        decoded = rows.map(load).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        return decoded.batch(size, drop_remainder=drop_last).prefetch(2)

    @functools.cached_property
    def hashes(self) -> list[bytes]:
        """The sha256 of each image as it is stored: all that its pixels depend on."""
        with ShardReader(self.folder) as reader:
            return [hashlib.sha256(reader.read(image)).digest() for image in self.images]

    @functools.cached_property
    def loaded(self) -> Source:
        """The images decoded in memory where they fit, for who reads them more than once."""
        needed = len(self.images) * self.height * self.width * 3
        return self._decoded() if needed <= MEMORY_SHARE * memory() else self

    def _decoded(self) -> InMemory:
        """All images [N, H, W, 3] uint8."""
        label = self.images[0].split
        pixels = np.empty((len(self.images), self.height, self.width, 3), np.uint8)
        batches = self.batches(np.arange(len(self.images)), DECODE_BATCH)
        steps = -(-len(self.images) // DECODE_BATCH)
        for number, (batch, _) in enumerate(progress(batches, total=steps, label=label)):
            start = number * DECODE_BATCH
            pixels[start : start + len(batch)] = batch
        return InMemory(pixels, self.labels)


Source = InMemory | OnDisk


def open_split(folder: Path, split: str) -> OnDisk:
    """A split's images and labels; `BadInput` when it has none."""
    info, images = load_info(folder), load_images(folder, split)
    if not images:
        raise BadInput(
            f"{folder}: the dataset has no {split} images; give it some with "
            f"preprocess.{split}_fraction=0.2 or a {split} folder"
        )
    numbers = {name: number for number, name in enumerate(info["classes"])}
    labels = np.array([numbers[image.label] for image in images], np.int32)
    return OnDisk(Path(folder), images, labels, *info["image_size"])


def load_source(folder: Path, split: str) -> Source:
    """As `open_split`, in memory where it fits."""
    return open_split(folder, split).loaded


def load_split(folder: Path, split: str, batch_size: int) -> tf.data.Dataset:
    """Batches (images [B, H, W, 3] float32 0-255, labels [B]) in the order of `images.csv`."""
    source = open_split(folder, split)
    batches = source.batches(np.arange(len(source.images)), batch_size)
    return batches.map(lambda images, labels: (tf.cast(images, tf.float32), labels))


def memory() -> int:
    """Bytes of memory of this machine or, where it is less, of this container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no container, or the word "max"
        return total
