"""The optimizer of one phase, with its learning-rate schedule, clipping and moving average."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from components.imaging.framework import keras
from components.networks.variables import assign, values
from components.train.parameters import Train


def build_optimizer(
    settings: Train, learning_rate: float, epochs: int, steps: int, devices: int
) -> keras.Optimizer:
    """For a phase of `epochs` epochs of `steps` steps; `learning_rate` is its highest.

    With several `devices` each gets gradients that are their sum divided by their number, so the
    norm at which they are clipped is divided, too.
    """
    clipping = settings.gradient_clipping
    common = dict(
        learning_rate=build_schedule(settings, learning_rate, epochs, steps),
        weight_decay=settings.weight_decay,
        global_clipnorm=clipping / devices if clipping else None,
        use_ema=settings.ema is not None,
        ema_momentum=settings.ema or 0.99,
    )
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=settings.momentum, nesterov=True, **common)
    else:
        kinds = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
        optimizer = kinds[settings.optimizer](**common)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def build_schedule(
    settings: Train, learning_rate: float, epochs: int, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A constant, or a cosine from `learning_rate` down to zero, after a linear warm-up."""
    if settings.schedule == "constant":
        return learning_rate
    total = epochs * steps
    warmup = min(round(settings.warmup_epochs * steps), total - 1)
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(learning_rate, total)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=learning_rate, warmup_steps=warmup
    )


def inner(optimizer: keras.Optimizer) -> keras.Optimizer:
    """The optimizer proper, inside one that scales the loss for float16."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def last_learning_rate(optimizer: keras.Optimizer) -> float:
    """That of the step which was just made."""
    optimizer = inner(optimizer)
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(schedule(values([optimizer.iterations])[0] - 1))
    return float(values([schedule])[0])


@contextmanager
def averaged(optimizer: keras.Optimizer, variables: list[keras.Variable]) -> Iterator[None]:
    """Inside, `variables` have the values of their moving average, where one is kept."""
    optimizer = inner(optimizer)
    if not optimizer.use_ema:
        yield
        return
    kept = values(variables)
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        assign(variables, kept)
