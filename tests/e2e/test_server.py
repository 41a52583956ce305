"""The pipeline on a ClearML server, with the real SDK and real agents.

`pytest --clearml-conf FILE` runs the same against a server of yours. The tests go in order: each
run finds what the earlier ones made.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.checkout import ENTRY, Checkout
from tests.e2e.conftest import STAGES, TINY, ClearML


@pytest.fixture(scope="module")
def queued(clearml: ClearML, local: str) -> str:
    """The id of a finished run on the queues, after the local one."""
    done = clearml.run("run=queue")
    assert done.returncode == 0, done.stdout + done.stderr
    controller = clearml.controllers()[0]
    finished = clearml.finished(controller["id"])
    assert finished["status"] == "completed", clearml.console(controller["id"])
    return controller["id"]


def test_a_local_run_makes_one_task_for_each_stage(clearml: ClearML, local: str) -> None:
    steps = clearml.steps(local)
    assert set(steps) == set(STAGES)
    assert {step["status"] for step in steps.values()} == {"completed"}
    assert steps["train"]["type"] == "training"


def test_the_pages_of_the_run_and_of_its_steps_show_what_was_made(
    clearml: ClearML, local: str
) -> None:
    steps = clearml.steps(local)
    assert clearml.metrics(steps["train"]["id"]) >= {"loss/training", "loss/validation"}
    tables = {f"{name}/table" for name in ("figures", "classes", "reliability")}
    assert clearml.metrics(steps["evaluate"]["id"]) >= {"confusion matrix/test"} | tables
    assert clearml.metrics(local) >= tables | {
        "loss/training",
        "accuracy/validation",
        "confusion matrix/test",
        "Summary/test accuracy",
        "stages/why",
    }
    assert clearml.pictures(steps["ingest"]["id"]) == {"preview/preview"}
    assert clearml.pictures(steps["train"]["id"]) == {"training/augmentation"}
    assert clearml.pictures(local) >= {"training/augmentation", "evaluation/confusion_matrix"}
    (model,) = steps["train"]["models"]["output"]
    assert [shown["model"] for shown in clearml.task(local)["models"]["input"]] == [model["model"]]
    registered = clearml.api("models.get_by_id", model=model["model"])["model"]
    assert registered["labels"] == {"cat": 0, "dog": 1}
    assert registered["framework"] == "Keras"
    assert registered["uri"].startswith("http")
    assert registered["metadata"]["dataset"]["value"]
    assert set(steps["evaluate"]["execution"]["artifacts"][0]) >= {"key", "uri"}


def test_the_modes_give_the_same_result(
    clearml: ClearML, local: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    offline = Checkout(tmp_path_factory.mktemp("offline"))
    assert offline.run(*TINY).returncode == 0
    accuracy = json.loads((offline.run_folder() / "metrics.json").read_text())["accuracy"]
    metrics = clearml.task(local)["last_metrics"].values()
    (value,) = [
        variant["value"]
        for metric in metrics
        for variant in metric.values()
        if variant["variant"] == "test accuracy"
    ]
    assert value == pytest.approx(accuracy)


def test_the_queue_finds_what_the_local_run_made(clearml: ClearML, queued: str) -> None:
    assert clearml.steps(queued) == {}
    assert clearml.console(queued).count("reused from run") == 4


def test_the_form_shows_each_parameter_once(clearml: ClearML, queued: str) -> None:
    sections = clearml.task(queued)["hyperparams"]
    names = list(sections["Args"])
    assert sections["Args"]["train/epochs"]["value"] == "1"
    assert sections["Args"]["train/epochs"]["description"].startswith("Passes over the training")
    assert sections["Advanced"]["train/rotation"]["value"] == "15.0"
    assert not set(names) & set(sections["Advanced"])
    assert len(names) <= 25
    assert max(map(len, names)) <= 24
    assert not {section for section in sections if "ydra" in section}


def test_an_edited_parameter_is_used_however_often_it_is_rerun(
    clearml: ClearML, queued: str
) -> None:
    first = clearml.new_run(queued, **{"train/learning_rate": "1e-4"})
    assert clearml.finished(first)["status"] == "completed", clearml.console(first)
    steps = clearml.steps(first)
    assert set(steps) == {"train", "evaluate"}
    assert steps["train"]["hyperparams"]["kwargs"]["learning_rate"]["value"] == "0.0001"
    assert "train.learning_rate 0.003 -> 0.0001" in clearml.console(first)

    second = clearml.new_run(first, **{"train/learning_rate": "0.003"})
    assert clearml.finished(second)["status"] == "completed", clearml.console(second)
    assert clearml.steps(second) == {}
    before, after = (clearml.task(run)["hyperparams"] for run in (queued, second))
    assert set(before["Args"]) == set(after["Args"])
    assert set(before) == set(after)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("train/epochs", "-1", "train.epochs=-1: expected an integer >= 1"),
        ("train/epocs", "5", "unknown parameter train.epocs; did you mean train.epochs?"),
    ],
)
def test_an_impossible_edit_fails_before_any_step(
    clearml: ClearML, queued: str, name: str, text: str, words: str
) -> None:
    run = clearml.new_run(queued, **{name: text})
    failed = clearml.finished(run, seconds=60)
    assert failed["status"] == "failed"
    assert words in failed["status_message"]
    assert clearml.steps(run) == {}


def test_a_failed_step_fails_the_run_with_its_name_and_reason_and_the_run_can_be_mended(
    clearml: ClearML, queued: str
) -> None:
    run = clearml.new_run(queued, **{"train/weights": "none.h5"})
    failed = clearml.finished(run)
    assert failed["status"] == "failed"
    assert re.search(r"features failed: .*train\.weights=none\.h5", failed["status_message"])
    mended = clearml.new_run(run, **{"train/weights": "null"})  # the failed one has no evaluate
    assert clearml.finished(mended)["status"] == "completed", clearml.console(mended)


def test_an_edited_clone_of_a_step_is_checked_too(clearml: ClearML, local: str) -> None:
    step = clearml.steps(local)["train"]["id"]
    clone = clearml.api("tasks.clone", task=step, new_task_name="train")["id"]
    edit = {"section": "kwargs", "name": "epochs", "value": "abc", "type": "str"}
    clearml.api("tasks.edit_hyper_params", task=clone, hyperparams=[edit])
    clearml.api("tasks.enqueue", task=clone, queue_name=clearml.queues["steps"])
    failed = clearml.finished(clone)
    assert failed["status"] == "failed"
    assert "train.epochs=abc: expected an integer" in failed["status_message"]


def test_an_abort_stops_the_step_and_the_run(clearml: ClearML, queued: str) -> None:
    run = clearml.new_run(queued, **{"train/epochs": "100000"})
    clearml.until(run, lambda found: "train" in clearml.steps(run), 120)
    step = clearml.steps(run)["train"]["id"]
    clearml.until(step, lambda found: "loss/training" in clearml.metrics(step), 120)
    clearml.api("tasks.stop", task=run, include_pipeline_steps=True)
    assert clearml.finished(run, seconds=60)["status"] == "stopped"
    assert clearml.finished(step, seconds=60)["status"] == "stopped"


def test_an_interrupted_local_run_is_aborted_with_its_step(clearml: ClearML, local: str) -> None:
    running = subprocess.Popen(
        [sys.executable, ENTRY, *clearml.arguments("run=local", "train.epochs=2000")],
        cwd=clearml.checkout.root,
        env=os.environ | clearml.environment | {"PYTHONPATH": str(clearml.checkout.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in running.stdout:
        if line.startswith("epoch 2/"):
            break
    running.send_signal(signal.SIGINT)  # to the run alone, as `kill -INT` does
    _, told = running.communicate(timeout=90)
    assert running.returncode == 130
    assert "Traceback" not in told
    assert told.splitlines()[-1] == "interrupted"
    run = clearml.controllers()[0]
    step = clearml.steps(run["id"])["train"]
    ends = [(one["status"], one["status_message"]) for one in (run, step)]
    assert ends == [("stopped", "interrupted")] * 2


def test_an_earlier_run_is_rerun_from_the_command_line(clearml: ClearML, queued: str) -> None:
    done = clearml.run("run=queue", f"rerun={queued}", "train.learning_rate=1e-4")
    assert done.returncode == 0, done.stdout + done.stderr
    run = clearml.controllers()[0]["id"]
    assert clearml.finished(run)["status"] == "completed", clearml.console(run)
    assert clearml.task(run)["hyperparams"]["Args"]["train/learning_rate"]["value"] == "0.0001"
    assert clearml.steps(run) == {}  # the edited run above has made them


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("run.queues.train=none", "run.queues.train=none: no such queue"),
        ("rerun=0123456789abcdef", "rerun=0123456789abcdef: no pipeline run of that id"),
    ],
)
def test_preflight_refuses_before_anything_is_enqueued(
    clearml: ClearML, queued: str, argument: str, words: str
) -> None:
    before = len(clearml.controllers())
    done = clearml.run("run=queue", argument)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(clearml.controllers()) == before


def test_a_queue_without_a_worker_is_refused(clearml: ClearML) -> None:
    idle = f"idle-{uuid.uuid4().hex[:8]}"
    clearml.api("queues.create", name=idle)
    done = clearml.run("run=queue", f"run.queues.train={idle}")
    assert done.returncode == 2
    assert f"run.queues.train={idle}: no agent serves it" in done.stderr


def test_one_worker_that_would_wait_for_itself_is_refused(clearml: ClearML) -> None:
    done = clearml.run("run=queue", f"run.queues.train={clearml.queues['controller']}")
    assert done.returncode == 2
    assert "one worker would wait for itself" in done.stderr


def test_changes_that_agents_cannot_fetch_are_refused(clearml: ClearML) -> None:
    draft = clearml.checkout.root / "components" / "draft.py"
    draft.write_text("")
    try:
        done = clearml.run("run=queue")
    finally:
        draft.unlink()
    assert done.returncode == 2
    assert "git: components/draft.py is not committed; commit and push" in done.stderr


def test_no_secret_is_written_anywhere(clearml: ClearML, local: str, queued: str) -> None:
    secret = re.search(r'secret_key"?\s*[=:]\s*"([^"]+)"', clearml.conf.read_text())[1]
    for run in (local, queued):
        for task in (run, *(step["id"] for step in clearml.steps(run).values())):
            assert secret not in str(clearml.task(task))
            assert secret not in clearml.console(task)
    for path in (clearml.checkout.root / "outputs").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_a_server_that_does_not_answer_is_told(clearml: ClearML, tmp_path: Path) -> None:
    address = '"http://127.0.0.1:9"'  # nothing listens on the discard port
    text = re.sub(r'(api_server"?\s*[=:]\s*)"[^"]+"', rf"\1{address}", clearml.conf.read_text())
    (tmp_path / "clearml.conf").write_text(text)
    for mode in ("local", "queue"):
        done = clearml.run(f"run={mode}", CLEARML_CONFIG_FILE=str(tmp_path / "clearml.conf"))
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "error: the ClearML server http://127.0.0.1:9 does not answer; "
            "run clearml-init, or set CLEARML_CONFIG_FILE"
        ]


def test_a_login_that_the_server_does_not_take_is_told(clearml: ClearML, tmp_path: Path) -> None:
    text = re.sub(r'(secret_key"?\s*[=:]\s*)"[^"]+"', r'\1"wrong"', clearml.conf.read_text())
    (tmp_path / "clearml.conf").write_text(text)
    done = clearml.run("run=local", CLEARML_CONFIG_FILE=str(tmp_path / "clearml.conf"))
    assert done.returncode == 2
    assert re.search(r"^error: the ClearML server \S+ takes no such login; ", done.stderr)
    text = re.sub(r"\bcredentials\b", "other", text)
    (tmp_path / "clearml.conf").write_text(text)
    done = clearml.run("run=local", CLEARML_CONFIG_FILE=str(tmp_path / "clearml.conf"))
    assert done.returncode == 2
    assert re.search(r"^error: no credentials for the ClearML server \S+; ", done.stderr)


@pytest.mark.slow  # also in test_new_stage.py
def test_a_step_that_fails_once_is_tried_again(clearml: ClearML, local: str) -> None:
    module = clearml.checkout.root / "components/evaluate/evaluation.py"
    text = module.read_text()
    marker = clearml.home / "failed once"
    broken = f"""
from pathlib import Path as _Path
if not _Path({str(marker)!r}).exists():
    _Path({str(marker)!r}).touch()
    raise RuntimeError("a passing trouble")
"""
    module.write_text(f"{text}\n{broken}")
    try:
        done = clearml.run("run=local")
    finally:
        module.write_text(text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RuntimeError: a passing trouble" in done.stdout + done.stderr
    step = clearml.steps(clearml.controllers()[0]["id"])["evaluate"]
    assert step["status"] == "completed"


def test_a_registered_model_is_exported_with_what_the_server_knows(
    clearml: ClearML, local: str, tmp_path: Path
) -> None:
    (model,) = clearml.steps(local)["train"]["models"]["output"]
    arguments = (f"model={model['model']}", f"folder={tmp_path / 'out'}", "run=local")
    command = ("pipelines/export.py", *arguments, f"run.project={clearml.name}")
    done = clearml.checkout.python(*command, **clearml.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    card = (tmp_path / "out" / "model_card.md").read_text()
    assert re.search(r"\| train \| \d+ \| \d+ \|", card)
    assert re.search(r"\| accuracy \| 0\.\d+ \| 0\.\d+ \| [01]\.\d+ \|", card), card
    evaluations = [one["id"] for one in clearml.tasks(name="^evaluate$", status=["completed"])]
    assert re.search("The whole report: `(.*)`", card)[1] in evaluations
    assert (tmp_path / "out" / "model.tflite").is_file()
