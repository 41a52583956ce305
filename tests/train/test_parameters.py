"""The shipped values fit the schema, whatever options are combined."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.networks.parameters import ARCHITECTURES
from tests.train.helpers import shipped

CONF = Path(__file__).parents[2] / "conf" / "train"


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def test_every_architecture_has_an_option_of_its_name() -> None:
    assert options("model") == sorted(ARCHITECTURES)
    for name in ARCHITECTURES:
        assert shipped(model=name).architecture == name


@pytest.mark.parametrize("name", options("augmentation"))
def test_every_augmentation_fits(name: str) -> None:
    assert shipped(augmentation=name).flip == (name != "none")
