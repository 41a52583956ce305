"""The phases of a training: the whole network, or first its head and then its top blocks."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from components.imaging.dataloader import InMemory, OnDisk
from components.imaging.framework import keras, tf
from components.networks.augmentation import augment_images, mix_images
from components.networks.features import Extractor, views_of
from components.networks.models import backbone_and_head, top_blocks
from components.networks.variables import assign, values
from components.runtime.schema import BadInput
from components.train.checkpoints import Checkpoint, Checkpoints, Position
from components.train.hardware import dtype_policy
from components.train.history import Row, line, validation_metrics
from components.train.loop import Loop
from components.train.optimizers import averaged, build_optimizer, inner, last_learning_rate
from components.train.parameters import Train

log = logging.getLogger(__name__)

FEATURES_AT_ONCE = 1024  # vectors of features of which a batch is made where nothing is trained


@dataclass
class Phase:
    """A stretch of training with its own variables, rate and data."""

    name: str  # in words
    epochs: int
    learning_rate: float
    trained: list[keras.Variable]
    changing: list[keras.Variable]  # the trained ones, batch norm's statistics, states of dropout
    network: Callable[[tf.Tensor, bool], tf.Tensor]
    augmented: bool = True  # its values are images, which are augmented in each step


def plan(model: keras.Model, settings: Train) -> list[Phase]:
    """The phases in their order."""
    backbone, head = backbone_and_head(model)
    is_whole = settings.weights is None  # else the backbone keeps its batch norm's statistics

    def network(images: tf.Tensor, training: bool) -> tf.Tensor:
        return head(backbone(images, training=training and is_whole), training=training)

    trains = model if is_whole else head
    first = Phase(
        "whole network" if is_whole else "head",
        settings.epochs,
        settings.learning_rate,
        trains.trainable_variables,
        trains.variables,
        network,
    )
    if is_whole:
        return [first]
    if settings.are_kept:
        first.augmented = False
        first.network = lambda features, training: head(features, training=training)
    elif settings.cached_views:
        log.info("features are not cached, as mixup and cutmix make each image anew")
    if not settings.fine_tune_epochs:
        return [first]
    blocks = top_blocks(backbone, settings.fine_tune_blocks)
    trained = [v for layer in blocks for v in layer.trainable_variables] + head.trainable_variables
    second = Phase(
        f"head and top {settings.fine_tune_blocks} blocks",
        settings.fine_tune_epochs,
        settings.fine_tune_learning_rate,
        trained,
        [*trained, *head.non_trainable_variables],
        network,
    )
    return [first, second]


def train(
    model: keras.Model,
    images: OnDisk,
    validation: OnDisk,
    extract: Extractor,
    settings: Train,
    strategy: tf.distribute.Strategy,
    report: Callable[[Row], None],
    checkpoints: Checkpoints,
) -> Position:
    """Run all phases on `model`, from the checkpoint if there is one; where the training ended.

    `extract` gives the features of its backbone.
    """
    phases = plan(model, settings)
    checkpoint = checkpoints.load()
    position = checkpoint.position if checkpoint else Position()
    if position.history:
        log.info("going on after epoch %d", len(position.history))
    for row in position.history:
        report(row)
    for number in range(position.phase, len(phases)):
        if number > position.phase:
            position.phase, position.epoch, position.over, position.waited = number, 0, False, 0
            checkpoint = None
        runner = Runner(phases[number], model, images, validation, extract, settings, strategy)
        runner.restore(checkpoint)
        if len(phases) > 1 and not position.epoch:
            log.info("%s: at most %d epochs", phases[number].name, phases[number].epochs)
        total = len(position.history) - position.epoch + sum(p.epochs for p in phases[number:])
        runner.run(position, total, report, checkpoints)
    return position


class Runner:
    """Runs one phase."""

    def __init__(
        self,
        phase: Phase,
        model: keras.Model,
        images: OnDisk,
        validation: OnDisk,
        extract: Extractor,
        settings: Train,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self.phase, self.settings = phase, settings
        self.count = len(images.labels)
        self.batch_size = global_batch(settings, self.count, strategy.num_replicas_in_sync)
        self.steps = self.count // self.batch_size
        if phase.augmented:
            self.images, self.validation = images.loaded, validation.loaded
        else:
            views = [extract(images, view) for view in views_of(settings)]
            labels = np.tile(images.labels, len(views))
            self.images = InMemory(np.concatenate(views), labels)
            self.validation = InMemory(extract(validation), validation.labels)
        # A step on features takes a fraction of a millisecond: starting each one would cost more.
        self.in_one_call = not phase.augmented and strategy.num_replicas_in_sync == 1
        with strategy.scope():
            optimizer = build_optimizer(
                settings,
                phase.learning_rate,
                phase.epochs,
                self.steps,
                strategy.num_replicas_in_sync,
            )
            if dtype_policy(settings) == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(phase.trained)
        self.optimizer = optimizer
        self.loop = Loop(
            network=phase.network,
            variables=phase.trained,
            optimizer=optimizer,
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=settings.label_smoothing, reduction=None
            ),
            class_weights=class_weights(settings, images.labels, model.output_shape[-1]),
            batch_size=self.batch_size,
            strategy=strategy,
            seed=settings.seed,
            augment=augment_images(settings) if phase.augmented else None,
            mix=mix_images(settings) if phase.augmented else None,
            xla=settings.xla,
        )
        self.best: list[np.ndarray] = []

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Take over the values of a checkpoint of this phase."""
        if checkpoint:
            assign(self._variables, checkpoint.variables)
            self.best = checkpoint.best

    def run(
        self,
        position: Position,
        total: int,
        report: Callable[[Row], None],
        checkpoints: Checkpoints,
    ) -> None:
        """Train the epochs that are left; `position` and the checkpoint move with each."""
        patience = self.settings.patience
        if patience and not self.best:  # the phase before may stay unbeaten
            self.best = values(self.phase.changing)
        while position.epoch < self.phase.epochs and not position.over:
            number = len(position.history) + 1
            row = self._epoch(number)
            position.history.append(row)
            position.epoch += 1
            if not patience:
                position.best_epoch, position.best_loss = number, row["validation_loss"]
            elif row["validation_loss"] < position.best_loss:
                position.best_epoch, position.best_loss = number, row["validation_loss"]
                position.waited = 0
                with averaged(self.optimizer, self.phase.trained):
                    self.best = values(self.phase.changing)
            else:
                position.waited += 1
                position.over = position.waited >= patience
            checkpoints.save(lambda: Checkpoint(position, values(self._variables), self.best))
            log.info("%s", line(row, total))
            report(row)
        if patience:
            assign(self.phase.changing, self.best)
        elif self.settings.ema:
            inner(self.optimizer).finalize_variable_values(self.phase.trained)

    @functools.cached_property
    def _features(self) -> tuple[tf.Tensor, tf.Tensor]:
        """All features [N, F] and labels [N] where the training computes."""
        return tf.constant(self.images.values), tf.constant(self.images.labels)

    @functools.cached_property
    def _validation_batches(self) -> tf.data.Dataset:
        """Made once, as making it takes longer than an epoch on features."""
        everything = np.arange(len(self.validation.labels))
        size = self.batch_size if self.phase.augmented else FEATURES_AT_ONCE
        return self.validation.batches(everything, size)

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self.phase.changing, *self.optimizer.variables]

    def _epoch(self, number: int) -> Row:
        """Train and validate epoch `number`, counted from 1; `BadInput` when the loss is NaN."""
        start = time.perf_counter()
        random = np.random.default_rng([self.settings.seed, number])
        order = random.permutation(self.count)
        views = len(self.images.labels) // self.count
        order += self.count * random.integers(views, size=self.count)
        first_step = (number - 1) * self.steps
        if self.in_one_call:
            order = order[: self.steps * self.batch_size].reshape(self.steps, self.batch_size)
            values, labels = self._features
            loss, accuracy = self.loop.train_epoch_in_memory(values, labels, order, first_step)
        else:
            batches = self.images.batches(order, self.batch_size, drop_last=True)
            name = f"epoch {number}"
            loss, accuracy = self.loop.train_epoch(batches, first_step, self.steps, name)
        trained = time.perf_counter() - start
        with averaged(self.optimizer, self.phase.trained):
            validated = validation_metrics(*self.loop.predict(self._validation_batches))
        if not np.isfinite([loss, validated["validation_loss"]]).all():
            raise BadInput(
                f"train.learning_rate: the loss became NaN in epoch {number} at a learning rate "
                f"of {last_learning_rate(self.optimizer):.3g}; make it smaller or set "
                "train.gradient_clipping=1"
            )
        return {
            "epoch": number,
            "loss": loss,
            "accuracy": accuracy,
            **validated,
            "learning_rate": last_learning_rate(self.optimizer),
            "seconds": round(time.perf_counter() - start, 3),
            "images_per_second": round(self.steps * self.batch_size / trained, 1),
        }


def global_batch(settings: Train, count: int, devices: int) -> int:
    """Images a step over all devices: as set, or all of a smaller dataset's."""
    if settings.batch_size % devices:
        raise BadInput(
            f"train.batch_size={settings.batch_size}: must be a multiple of the {devices} GPUs"
        )
    if count < devices:
        raise BadInput(f"train: {count} training images are too few for {devices} GPUs")
    return min(settings.batch_size, count - count % devices)


def class_weights(settings: Train, labels: np.ndarray, classes: int) -> np.ndarray:
    """[C] float32: all ones, or such that each class weighs the same in all."""
    if settings.class_weights is None:
        return np.ones(classes, np.float32)
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)
