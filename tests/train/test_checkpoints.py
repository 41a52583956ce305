"""Which trainings share their checkpoints."""

from __future__ import annotations

from components.train.checkpoints import training_key

ARGUMENTS = {"learning_rate": "0.01", "optimizer": "adam"}


def test_attempts_of_a_training_share_a_key_and_edited_clones_of_its_step_do_not() -> None:
    key = training_key("f", "d", ARGUMENTS)
    assert key == training_key("f", "d", dict(reversed(ARGUMENTS.items())))
    edited = [
        training_key("f", "d", ARGUMENTS | {"learning_rate": "0.02"}),
        training_key("f", "another dataset", ARGUMENTS),
        training_key("another code", "d", ARGUMENTS),
    ]
    assert len({key, *edited}) == 4
