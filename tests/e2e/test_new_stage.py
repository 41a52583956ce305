"""What the guide promises of a stage, a backbone and an augmentation of one's own, in all modes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.e2e import recipes
from tests.e2e.conftest import TINY, ClearML, project

ONLY = ("run.stages=[ingest,preprocess,describe]",)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy with the stage `describe`, and one finished run of it."""
    checkout = Checkout(tmp_path_factory.mktemp("stage"))
    edits = recipes.add_stage(checkout)
    assert recipes.changed(checkout) == edits
    done = checkout.run(*TINY, *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def test_it_runs_is_delivered_and_is_reused(checkout: Checkout) -> None:
    table = (checkout.run_folder() / "colours.csv").read_text().splitlines()
    assert table[0] == "class,red,green,blue"
    assert [row.split(",")[0] for row in table[1:]] == ["cat", "dog"]
    done = checkout.run(*TINY, *ONLY, "run.plan=true")
    assert "describe   reuse: made by run " in done.stdout


def test_its_parameter_and_its_code_run_it_alone(checkout: Checkout) -> None:
    done = checkout.run(*TINY, *ONLY, "run.plan=true", "describe.split=test")
    assert "describe   run: describe.split train -> test\n" in done.stdout
    assert done.stdout.count("reuse: ") == 2
    module = checkout.root / "components/describe/colours.py"
    text = module.read_text()
    module.write_text(text.replace("SIDE = 96", "SIDE = 64"))
    done = checkout.run(*TINY, *ONLY, "run.plan=true")
    module.write_text(text)
    assert "describe   run: components/describe/colours.py changed\n" in done.stdout


def test_a_mistake_in_its_parameter_is_one_line(checkout: Checkout) -> None:
    done = checkout.run("describe.split=tests")
    assert done.returncode == 2
    assert done.stderr.startswith("error: describe.split=tests: expected one of train, validation")
    assert "describe.split=train: one of train, validation, test" in checkout.run("--help").stdout


def test_a_sweep_over_its_parameter(checkout: Checkout) -> None:
    done = checkout.run("-m", *TINY, *ONLY, "describe.split=train,test")
    assert done.returncode == 0, done.stderr
    assert "[0] describe   reused from run " in done.stdout
    assert "[1] describe   runs: describe.split train -> test" in done.stdout


@pytest.fixture(scope="module")
def served(clearml_conf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClearML]:
    """A project whose pushed checkout has the stage, and two agents."""
    folder = tmp_path_factory.mktemp("served")
    checkout = Checkout(folder)
    recipes.add_stage(checkout)
    with project(checkout, folder, clearml_conf) as made:
        yield made


def queues(served: ClearML) -> tuple[str, ...]:
    return (*ONLY, f"run.queues.describe={served.queues['steps']}")


@pytest.mark.slow
def test_on_queues_it_is_in_the_form_and_on_the_page(served: ClearML) -> None:
    done = served.run("run=queue", *queues(served))
    assert done.returncode == 0, done.stdout + done.stderr
    run = served.finished(served.controllers()[0]["id"])
    assert run["status"] == "completed", run["status_message"]
    assert run["hyperparams"]["Args"]["describe/split"]["value"] == "train"
    assert "describe" in served.steps(run["id"])
    assert "colours/mean" in served.metrics(run["id"]) | served.pictures(run["id"])
    edited = served.finished(served.new_run(run["id"], **{"describe/split": "test"}))
    assert edited["status"] == "completed", edited["status_message"]
    step = served.steps(edited["id"])["describe"]
    assert step["hyperparams"]["kwargs"]["split"]["value"] == "test"


def test_locally_it_is_tried_again_and_stopped_in_time(served: ClearML, tmp_path: Path) -> None:
    module = served.checkout.root / "components/describe/colours.py"
    text, start = module.read_text(), "    sums: dict[str"
    marker = tmp_path / "once"
    once = f"""    if not Path({str(marker)!r}).exists():
        Path({str(marker)!r}).touch()
        raise OSError("once")
"""
    module.write_text(text.replace(start, once + start))
    done = served.run("run=local", *queues(served), "describe.split=validation")
    assert done.returncode == 0, done.stdout + done.stderr
    slow = "    import time; time.sleep(120)\n"
    module.write_text(text.replace(start, slow + start))
    limits = ("run.time_limits.describe=0.05", "run.retries.describe=0")
    done = served.run("run=local", *queues(served), *limits)
    module.write_text(text)
    assert done.returncode == 1
    assert "it took longer than run.time_limits.describe=0.05 minutes" in done.stderr


@pytest.mark.slow
def test_a_backbone_and_an_augmentation(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (record,) = recipes.blocks("A new backbone")
    function, field, value = recipes.blocks("A new augmentation")
    parameters = checkout.root / "components/networks/parameters.py"
    recipes.insert(parameters, "}\nARCHITECTURES", record)
    recipes.insert(parameters, "    mixup: float", field)
    recipes.insert(
        checkout.root / "components/networks/augmentation.py", "def mix_images", function + "\n\n"
    )
    recipes.insert(checkout.root / "conf/train/augmentation/none.yaml", "mixup: ", value)
    assert recipes.changed(checkout) == {
        "components/networks/parameters.py",
        "components/networks/augmentation.py",
        "conf/train/augmentation/none.yaml",
    }
    added = (
        "train.architecture=densenet121",
        "train.grain=0.1",
        "run.stages=[ingest,preprocess,train]",
    )
    done = checkout.run(*TINY, *added)
    assert done.returncode == 0, done.stderr
    model = json.loads((checkout.run_folder() / "model.json").read_text())
    assert model["architecture"] == "densenet121"
    assert model["parameters"]["grain"] == 0.1
    assert re.search(r"^epoch 1/1 ", done.stdout, re.MULTILINE)
