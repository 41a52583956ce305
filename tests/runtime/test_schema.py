"""The schema: what texts mean, and the words for those that mean nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from components.runtime.schema import BadInput, parameter, parameters_of, parse, to_texts


@dataclass
class Queues:
    train: str = parameter()
    """Name of the queue."""


@dataclass
class Stage:
    epochs: int = parameter(at_least=1, at_most=1000, form=True)
    """Passes over
    the images."""
    rate: float = parameter(above=0)
    flip: bool = parameter()
    weights: str | None = parameter()
    kind: str = parameter(choices=("adam", "sgd"))
    force: list[str] = parameter(choices=("a", "b"))
    queues: Queues = parameter()


GOOD = {
    "epochs": "5",
    "rate": "1e-3",
    "flip": "Yes",
    "weights": "null",
    "kind": "sgd",
    "force": "[a, b]",
    "queues.train": "gpu",
}


def test_texts_become_typed_values() -> None:
    values = parse(Stage, GOOD, "stage")
    assert values == Stage(5, 0.001, True, None, "sgd", ["a", "b"], Queues("gpu"))


def test_values_survive_the_way_through_text() -> None:
    values = parse(Stage, GOOD, "stage")
    assert parse(Stage, to_texts(values), "stage") == values


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("epochs", "abc", "stage.epochs=abc: expected an integer >= 1 and <= 1000"),
        ("epochs", "1.5", "stage.epochs=1.5: expected an integer >= 1 and <= 1000"),
        ("epochs", "", "stage.epochs=: expected an integer >= 1 and <= 1000"),
        ("epochs", "0", "stage.epochs=0: expected an integer >= 1 and <= 1000"),
        ("epochs", "null", "stage.epochs=null: expected an integer >= 1 and <= 1000"),
        ("rate", "0", "stage.rate=0: expected a number > 0"),
        ("rate", "nan", "stage.rate=nan: expected a number > 0"),
        ("rate", "inf", "stage.rate=inf: expected a number > 0"),
        ("flip", "maybe", "stage.flip=maybe: expected true or false"),
        ("kind", "adm", "stage.kind=adm: expected one of adam, sgd"),
        ("force", "[a,c]", "stage.force=[a,c]: expected a list, each one of a, b"),
        ("force", "a", "stage.force=a: expected a list, each one of a, b"),
        ("weights", "${x}", "stage.weights=${x}: expected text or null"),
    ],
)
def test_a_text_outside_the_domain_is_refused_by_name(name: str, text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(Stage, GOOD | {name: text}, "stage")
    assert str(caught.value) == words


def test_a_misspelt_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"^unknown parameter stage\.epocs; did you mean stage\.epo"):
        parse(Stage, GOOD | {"epocs": "5"}, "stage")


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"^stage\.rate: no value is given"):
        parse(Stage, {name: text for name, text in GOOD.items() if name != "rate"}, "stage")


def test_the_help_of_a_parameter_is_the_text_under_its_field() -> None:
    known = parameters_of(Stage)
    assert known["epochs"].help == "Passes over the images."
    assert known["queues.train"].help == "Name of the queue."
    assert known["rate"].help == ""
