"""The configuration: each shipped option composes, each parameter has one name and a help line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from components.runtime.schema import BadInput
from pipelines.dag import PETS
from pipelines.engine.parameters import CONF, flatten, from_sections, options

parameters = PETS.parameters

OPTIONS = [
    f"{group}={name}"
    for group, names in options().items()
    for name in names
    if not group.startswith("hydra")
]


@pytest.fixture(autouse=True)
def composer() -> Iterator[None]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def composed(*overrides: str) -> Any:
    """The settings that these overrides give."""
    nested = OmegaConf.to_container(hydra.compose("config", list(overrides)), resolve=True)
    nested.pop("rerun")
    return parameters.read(flatten(nested))


@pytest.mark.parametrize("option", OPTIONS)
def test_each_shipped_option_composes(option: str) -> None:
    assert composed(option)


def test_values_survive_the_way_through_text() -> None:
    config = composed("train/model=resnet50", "run=queue", "run.force=[train]")
    assert parameters.read(parameters.texts_of(config)) == config


def test_a_task_keeps_each_parameter_in_one_section() -> None:
    texts = parameters.texts_of(composed())
    stored = parameters.by_section(texts)
    assert len(stored) == len(texts)
    assert from_sections(stored) == texts
    assert from_sections({"Args/a": "1", "pipeline/b": "2", "Args/c": None}) == {
        "a": "1",
        "c": "",
    }


def test_the_form_is_short_enough_to_bear() -> None:
    names = [name for name, known in parameters.known.items() if known.form]
    assert len(names) <= 25
    assert max(map(len, names)) <= 24
    groups = [group for group, _ in itertools.groupby(names, key=lambda name: name.split(".")[0])]
    assert groups == ["ingest", "preprocess", "train", "evaluate", "run"]


def test_each_parameter_has_a_help_line() -> None:
    assert not [name for name, known in parameters.known.items() if not known.help]


def test_an_experiment_begins_with_the_command_that_runs_it() -> None:
    for path in sorted((CONF / "experiment").glob("*.yaml")):
        package, command = path.read_text().splitlines()[:2]
        assert package == "# @package _global_"  # Hydra wants this above all else
        assert command == f"# python pipelines/pets_pipeline.py experiment={path.stem}"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"train/epochs": "abc"}, r"^train\.epochs=abc: expected an integer"),
        ({"train/epocs": "5"}, r"^unknown parameter train\.epocs; did you mean train\.epochs\?"),
        ({"epochs": "5"}, r"^unknown parameter epochs; "),
        ({"run/queues/trian": "x"}, r"^unknown parameter run\.queues\.trian; .*run\.queues\.train"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused_by_name(texts: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parameters.read(parameters.texts_of(composed()) | texts)


def test_the_folders_of_the_groups_are_the_stages() -> None:
    stages = {path.name for path in Path(CONF).iterdir() if path.is_dir()}
    own = {name for name, stage in PETS.stages.items() if not stage.settings_of}
    assert stages == {*own, "run", "experiment", "hydra"}
