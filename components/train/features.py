"""Features of a frozen backbone, computed once and kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from components.imaging.dataloader import InMemory, Source
from components.imaging.framework import keras, tf
from components.runtime.progress import progress
from components.train.augmentation import Augment, augment_images
from components.train.parameters import Train
from components.train.variables import values

BATCH = 16  # images a device: more takes memory and is no faster on a CPU


class FeatureExtractor:
    """Computes the features of a backbone that does not change any more."""

    def __init__(
        self, backbone: keras.Model, settings: Train, strategy: tf.distribute.Strategy
    ) -> None:
        self._backbone, self._seed, self._strategy = backbone, settings.seed, strategy
        self._augment = augment_images(settings)
        self._plain = self._function(None)

    def __call__(self, source: Source, views: int, label: str) -> InMemory:
        """Features [views * N, F] float32: of the images as they are, then of augmented views.

        Without augmentation there is only one view. `label` names the progress bar.
        """
        views = views if self._augment else 1
        devices = self._strategy.num_replicas_in_sync
        count, batch = len(source.labels), BATCH * devices
        steps = -(-count // batch)
        augmented = self._function(self._augment) if views > 1 else self._plain
        features = []
        for view in range(views):
            compute = augmented if view else self._plain
            batches = source.batches(np.arange(count), batch).map(lambda images, _: images)
            if devices > 1:
                batches = self._strategy.experimental_distribute_dataset(batches)
            name = f"features of {label}, view {view + 1} of {views}"
            for step, images in enumerate(progress(batches, total=steps, label=name)):
                seed = tf.constant([self._seed, -1 - view * steps - step])
                features.append(compute(images, seed).numpy())
        return InMemory(np.concatenate(features), np.tile(source.labels, views))

    def _function(self, augment: Augment | None) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """(uint8 images [B, H, W, 3], seed [2]) to features [B, F] float32.

        On one device the weights are constants of the graph, so that TensorFlow folds batch norm
        into the convolutions.
        """

        def compute(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            images = tf.cast(images, tf.float32)
            images = augment(images, seed) if augment else images
            return tf.cast(self._backbone(images, training=False), tf.float32)

        if self._strategy.num_replicas_in_sync > 1:

            def distributed(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
                return self._strategy.gather(self._strategy.run(compute, (images, seed)), axis=0)

            return tf.function(distributed, autograph=False, reduce_retracing=True)

        weights = values(self._backbone.variables)

        def frozen(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            constants = map(tf.constant, weights)
            with keras.StatelessScope(zip(self._backbone.variables, constants, strict=True)):
                return compute(images, seed)

        images = tf.TensorSpec([None, *self._backbone.input_shape[1:]], tf.uint8)
        return tf.function(frozen, [images, tf.TensorSpec([2], tf.int32)], autograph=False)
