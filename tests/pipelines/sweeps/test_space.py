"""The search space of an optimization: what is accepted, and what is told."""

from __future__ import annotations

import pytest

from components.runtime.schema import BadInput
from pipelines.dag import PETS
from pipelines.sweeps import space

TRAIN = PETS.stages["train"]


def test_each_kind_becomes_a_range_of_clearml() -> None:
    lines = [
        "train.learning_rate log 1e-4 1e-1",
        "train.dropout uniform 0 0.5",
        "train.batch_size choice 16 32",
        "train.epochs uniform 1 4",
    ]
    rate, dropout, batch, epochs = (one.range() for one in space.read(lines, TRAIN))
    assert rate.name == "kwargs/learning_rate"
    assert rate.base**rate.min_value == pytest.approx(1e-4)
    assert rate.base**rate.max_value == pytest.approx(1e-1)
    assert (dropout.min_value, dropout.max_value) == (0, 0.5)
    assert batch.values == ["16", "32"]
    assert (epochs.min_value, epochs.max_value, epochs.include_max) == (1, 4, True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train.lerning_rate log 1 2", "unknown parameter train.lerning_rate; did you mean"),
        ("evaluate.seed choice 1 2", "unknown parameter evaluate.seed"),
        ("train.dropout uniform 0 3", "train.dropout=3: expected a number >= 0 and <= 0.9"),
        ("train.optimizer choice adam adm", "train.optimizer=adm: expected one of adam"),
        ("train.batch_size log 8 64", "list them with choice"),
        ("train.flip uniform true false", "list its values with choice"),
        ("train.ema uniform null 0.9", "list its values with choice"),
        ("train.learning_rate log 1e-2 1e-3", "expected 0 < LOW < HIGH"),
        ("train.dropout uniform 0.5 0.5", "expected LOW < HIGH"),
        ("train.dropout", "train.dropout: expected train.dropout and then log LOW HIGH"),
        ("train.dropout normal 0 0.5", "expected train.dropout and then log LOW HIGH"),
        ("train.optimizer choice", "expected train.optimizer and then log LOW HIGH"),
    ],
)
def test_a_bad_line_is_told_with_its_parameter(line: str, words: str) -> None:
    with pytest.raises(BadInput) as told:
        space.read([line], TRAIN)
    assert str(told.value).startswith("space: ")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_a_space_of_nothing_or_with_a_name_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="name at least one parameter"):
        space.read([], TRAIN)
    with pytest.raises(BadInput, match=r"train\.dropout is there twice"):
        space.read(["train.dropout choice 0 0.1", "train.dropout uniform 0 0.5"], TRAIN)
