"""The gate: a model becomes the champion when it beats the one in use, and can be taken back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.e2e.conftest import TINY, ClearML

GOOD = ("train.epochs=15",)  # right on about 80 % of the test images; TINY on half of them


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with two runs: the first made the champion, the second replaced it."""
    checkout = Checkout(tmp_path_factory.mktemp("champion"))
    for training in ((), GOOD):
        done = checkout.run(*TINY, *training, "evaluate.gate=promote")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(" is the champion now") == 1
    return checkout


def champion(checkout: Checkout, *arguments: str) -> str:
    done = checkout.python("pipelines/champion.py", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_decision_and_what_it_rests_on_are_kept(checkout: Checkout) -> None:
    content = json.loads((checkout.root / "outputs/champion.json").read_text())
    first, second = content["champions"]
    assert second["before"] == first["model"]
    folder = checkout.root / "outputs" / second["evaluation"]
    decision = json.loads((folder / "decision.json").read_text())
    assert decision["verdict"] == "promote"
    assert decision["reason"] == second["reason"]
    for name, key in (("predictions", "challenger"), ("champion_predictions", "champion")):
        rows = list(csv.DictReader((folder / f"{name}.csv").open()))
        right = sum(row["label"] == row["predicted"] for row in rows)
        assert right / len(rows) == decision[f"{key}_accuracy"]
    assert (checkout.root / "outputs" / first["evaluation"] / "report.html").exists()
    assert "Against the model in use." in (checkout.run_folder() / "report.html").read_text()


def test_an_unchanged_run_compares_nothing_anew(checkout: Checkout) -> None:
    done = checkout.run(*TINY, *GOOD, "evaluate.gate=promote")
    assert done.stdout.count(" reused from run ") == 4


def test_a_worse_model_does_not_replace_the_champion(checkout: Checkout) -> None:
    before = champion(checkout)
    done = checkout.run(*TINY, "evaluate.gate=promote")
    assert "gate: keep: of 60 test images" in done.stdout
    assert champion(checkout) == before


def test_a_rollback_holds(checkout: Checkout) -> None:
    told = champion(checkout, "rollback=true")
    assert " is the champion again; " in told.splitlines()[0]
    done = checkout.run(*TINY, *GOOD, "evaluate.gate=promote", "run.force=[evaluate]")
    assert " is not promoted, as it was rolled back; " in done.stdout
    again = checkout.python("pipelines/champion.py", "rollback=true")
    assert again.returncode == 2
    assert "error: rollback=true: there was no champion before models/" in again.stderr


def test_a_damaged_champion_is_named(checkout: Checkout) -> None:
    current = champion(checkout).split()[1]
    (checkout.root / "outputs" / current / "model.keras").write_text("damaged")
    done = checkout.run(*TINY, *GOOD, "evaluate.gate=compare")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: evaluate.gate=compare: the champion {current} is gone or was altered; "
        "choose another with python pipelines/champion.py\n"
    )


@pytest.mark.slow
def test_the_tag_moves_in_the_registry(clearml: ClearML, local: str, tmp_path: Path) -> None:
    last = ("run.stages=[evaluate]", "run.dataset=latest", "run.model=latest")
    done = clearml.run("run=local", *last, "evaluate.gate=promote")
    assert done.returncode == 0, done.stdout + done.stderr
    (first,) = clearml.champions()
    assert first["ready"]  # published
    done = clearml.run("run=local", *GOOD, "evaluate.gate=promote")
    assert done.returncode == 0, done.stdout + done.stderr
    (second,) = clearml.champions()
    assert second["id"] != first["id"]
    assert second["metadata"]["champion before"]["value"] == first["id"]
    run = clearml.controllers()[0]["id"]
    evaluated = clearml.steps(run)["evaluate"]
    artifacts = clearml.task(run)["execution"]["artifacts"]
    assert [one["key"] for one in artifacts] == ["decision", "report.html"]
    assert second["metadata"]["champion evaluation"]["value"] == evaluated["id"]
    told = clearml.checkout.python(
        *("pipelines/champion.py", "rollback=true", "run=local", f"run.project={clearml.name}"),
        **clearml.environment,
    )
    assert f"{first['id']} is the champion again" in told.stdout, told.stderr
    assert [model["id"] for model in clearml.champions()] == [first["id"]]
