"""Schedules, clipping, weight decay and the moving average."""

from __future__ import annotations

import numpy as np
import pytest

from components.imaging.framework import keras, tf
from components.train.optimizers import (
    averaged,
    build_optimizer,
    build_schedule,
    last_learning_rate,
)
from tests.train.helpers import settings


def test_a_cosine_warms_up_and_falls_to_zero() -> None:
    rate = build_schedule(settings(schedule="cosine", warmup_epochs=2.0), 0.1, epochs=10, steps=5)
    rates = np.array([float(rate(step)) for step in range(51)])
    assert rates[0] == 0
    assert rates.argmax() == 10
    assert rates[10] == pytest.approx(0.1)
    assert rates[30] == pytest.approx(0.05, rel=1e-3)
    assert rates[50] == pytest.approx(0, abs=1e-6)
    whole = build_schedule(settings(schedule="cosine"), 0.1, epochs=10, steps=5)
    assert float(whole(0)) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_step_of_each_optimizer_goes_downhill(name: str) -> None:
    weight = keras.Variable([1.0])
    optimizer = build_optimizer(settings(optimizer=name), 0.1, epochs=1, steps=1, devices=1)
    optimizer.apply([tf.constant([1.0])], [weight])
    assert weight.numpy()[0] < 1
    assert last_learning_rate(optimizer) == pytest.approx(0.1)


def test_gradients_are_clipped_and_biases_do_not_decay() -> None:
    weight, bias = keras.Variable([0.0], name="kernel"), keras.Variable([1.0], name="bias")
    clipped = settings(optimizer="sgd", momentum=0.0, gradient_clipping=0.5)
    optimizer = build_optimizer(clipped, 1.0, epochs=1, steps=1, devices=1)
    optimizer.apply([tf.constant([3.0]), tf.constant([4.0])], [weight, bias])
    np.testing.assert_allclose([weight.numpy()[0], bias.numpy()[0]], [-0.3, 0.6], rtol=1e-5)
    decayed = settings(optimizer="adamw", weight_decay=0.5)
    optimizer = build_optimizer(decayed, 1e-2, epochs=1, steps=1, devices=1)
    weight.assign([1.0])
    bias.assign([1.0])
    optimizer.apply([tf.constant([0.0]), tf.constant([0.0])], [weight, bias])
    assert weight.numpy()[0] == pytest.approx(0.995)
    assert bias.numpy()[0] == 1


def test_inside_averaged_the_weights_are_their_moving_average() -> None:
    weight = keras.Variable([1.0])
    sgd = settings(optimizer="sgd", momentum=0.0, ema=0.5)
    optimizer = build_optimizer(sgd, 1.0, epochs=1, steps=1, devices=1)
    for _ in range(2):  # 1 to 0 to -1; the average starts with the first step
        optimizer.apply([tf.constant([1.0])], [weight])
    with averaged(optimizer, [weight]):
        assert weight.numpy()[0] == pytest.approx(-0.5)
    assert weight.numpy()[0] == -1
