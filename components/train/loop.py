"""The training loop: one set of variables of a network, an epoch at a time.

A loop of our own rather than `Model.fit`: every random number is a function of the seed and the
step, so that an interrupted training can go on exactly, and a step costs little besides the math.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.imaging.framework import keras, tf
from components.runtime.progress import progress
from components.train.optimizers import inner

CHECK_EVERY = 25  # steps between looks at whether the loss is still a number

Network = Callable[[tf.Tensor, bool], tf.Tensor]
Mix = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclass
class Loop:
    """What a phase of training needs; `network` maps values and `training` to logits [B, C]."""

    network: Network
    variables: list[keras.Variable]  # those that train
    optimizer: keras.Optimizer
    loss: keras.losses.Loss  # of targets [B, C] and logits, without reduction
    class_weights: np.ndarray  # [C] float32
    batch_size: int  # over all devices
    strategy: tf.distribute.Strategy
    seed: int
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    mix: Mix | None = None
    xla: bool = False

    def __post_init__(self) -> None:
        self._compute = (
            tf.function(self._gradients, jit_compile=True) if self.xla else self._gradients
        )
        self._step = tf.function(self._distributed_step, autograph=False)
        self._predict = tf.function(
            self._distributed_predict, autograph=False, reduce_retracing=True
        )
        self._many = self.strategy.num_replicas_in_sync > 1
        self._epoch = tf.function(self._whole_epoch, autograph=False)

    def train_epoch(
        self, batches: tf.data.Dataset, first_step: int, steps: int, label: str
    ) -> tuple[float, float]:
        """Mean loss and accuracy over the batches; stops early when the loss is no number."""
        total, right = tf.constant(0.0), tf.constant(0.0)
        for number, batch in enumerate(progress(self._spread(batches), total=steps, label=label)):
            step = tf.constant(first_step + number, tf.int32)
            loss, correct = self._step(batch, step)
            total, right = total + loss, right + correct
            if number % CHECK_EVERY == 0 and not np.isfinite(total):
                break
        return float(total) / steps, float(right) / (steps * self.batch_size)

    def train_epoch_in_memory(
        self, values: tf.Tensor, labels: tf.Tensor, order: np.ndarray, first_step: int
    ) -> tuple[float, float]:
        """The same for values [N, ...] that are small: all steps in one call, without waits.

        `order` [steps, batch_size] says which values make each batch.
        """
        step = tf.constant(first_step, tf.int32)
        total, right = self._epoch(values, labels, tf.constant(order, tf.int32), step)
        return float(total) / len(order), float(right) / order.size

    def _whole_epoch(
        self, values: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, first_step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def body(number: tf.Tensor, total: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, ...]:
            batch = tf.gather(values, order[number]), tf.gather(labels, order[number])
            loss, correct = self._distributed_step(batch, first_step + number)
            return number + 1, total + loss, right + correct

        start = (tf.constant(0), tf.constant(0.0), tf.constant(0.0))
        _, total, right = tf.while_loop(lambda n, *_: n < tf.shape(order)[0], body, start)
        return total, right

    def predict(self, batches: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities [N, C] float32 and labels [N] of all batches, in their order."""
        results = [self._predict(batch) for batch in self._spread(batches)]
        probabilities, labels = zip(*results, strict=True)
        return np.concatenate(probabilities), np.concatenate(labels)

    def _spread(self, batches: tf.data.Dataset) -> Iterable[Any]:
        return self.strategy.experimental_distribute_dataset(batches) if self._many else batches

    def _distributed_step(self, batch: Any, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        sums = self.strategy.run(self._train_step, (*batch, step))
        return tuple(self.strategy.reduce("SUM", value, axis=None) for value in sums)

    def _distributed_predict(self, batch: Any) -> tuple[tf.Tensor, tf.Tensor]:
        def predict(values: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.nn.softmax(tf.cast(self.network(values, False), tf.float32)), labels

        results = self.strategy.run(predict, batch)
        return tuple(self.strategy.gather(value, axis=0) for value in results)

    def _train_step(
        self, values: tf.Tensor, labels: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One step on one device's share of a batch; its parts of the batch's loss and hits."""
        context = tf.distribute.get_replica_context()
        replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
        devices = self.strategy.num_replicas_in_sync
        seed = tf.stack([self.seed, step * devices + replica])
        targets = tf.one_hot(labels, len(self.class_weights))
        if self.augment:
            values = self.augment(values, seed)
        if self.mix:
            values, targets = self.mix(values, targets, seed)
        loss, logits, gradients = self._compute(values, targets)
        if self._many and inner(self.optimizer).global_clipnorm:
            # Keras clips on each device, then sums: give each the mean of all.
            gradients = [g / devices for g in context.all_reduce("SUM", gradients)]
        self.optimizer.apply(gradients, self.variables)
        hits = tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1)
        return loss, tf.reduce_sum(tf.cast(hits, tf.float32))

    def _gradients(
        self, values: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits = tf.cast(self.network(values, True), tf.float32)
            weights = tf.linalg.matvec(targets, self.class_weights)
            loss = tf.reduce_sum(self.loss(targets, logits) * weights) / self.batch_size
            scaled = self.optimizer.scale_loss(loss)
        return loss, logits, tape.gradient(scaled, [v.value for v in self.variables])
