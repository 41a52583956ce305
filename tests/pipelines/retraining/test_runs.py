"""New runs on new data: exactly one for each dataset, whatever happens to the scheduler."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from components.runtime.schema import BadInput
from pipelines.dag import PETS
from pipelines.engine import command
from pipelines.retraining.hook import Hook
from tests.pipelines.retraining.hooks import SECRET, receiver
from tests.pipelines.retraining.projects import Project, until


@pytest.fixture
def project(clearml_conf: Path, tmp_path: Path) -> Project:
    return Project(clearml_conf, tmp_path)


def settings(project: Project, *overrides: str) -> Any:
    from pipelines.retraining.settings import Settings

    mine = [f"run.project={project.name}", "run.idle_queues=true", *overrides]
    return command.read(PETS, Settings, "retrain_on_new_data", mine)


def retraining(project: Project, *overrides: str, **others: Any) -> Any:
    from pipelines.retraining.runs import Retraining

    return Retraining(PETS, settings(project, *overrides), Hook(None), **others)


@contextlib.contextmanager
def scheduler(project: Project, *arguments: str, **environment: str) -> Iterator[Path]:
    """The command, until Ctrl-C; yields the file with what it prints."""
    command, how = project.command(*arguments, **environment)
    path = project.home / "printed.txt"
    with path.open("a") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **how)
        try:
            yield path
            assert process.poll() is None, path.read_text()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)
    assert process.returncode == 0, path.read_text()


def test_from_a_tag_to_the_verdict(project: Project) -> None:
    project.base()
    quiet, made = project.dataset("photos"), project.dataset("raw images", "content:1", "retrain")
    with receiver() as received:
        received.status = 500
        with scheduler(project, "notify=MY_HOOK", MY_HOOK=received.address) as printed:
            until(lambda: "a run of the pipeline made it" in printed.read_text())
            first, second = project.dataset("photos"), project.dataset("other")
            project.tag(first, "retrain")
            project.tag(second, "retrain")  # within the same look
            (run,) = until(lambda: project.started(first))
            until(lambda: project.started(second))
            assert {one["id"] for one in project.runs()[1:]} == set(project.enqueued())
            project.tag(first, "retrain", "looked at")  # a change that starts nothing
            project.end(run["id"], "failed")
            until(lambda: len(received.messages) == 3)
            project.decide(project.started(second)[0]["id"], verdict="keep", reason="keep: worse")
            until(lambda: len(received.messages) == 4)
    until(lambda: project.schedulers()[0]["status"] == "stopped")

    parameters = {name: value["value"] for name, value in run["hyperparams"]["Args"].items()}
    assert parameters["ingest/source"] == "clearml_dataset"
    assert parameters["ingest/dataset"] == first
    assert parameters["evaluate/gate"] == "promote"
    assert parameters["run/dataset"] == "null"  # the run that it copies left ingest out
    assert sorted(run["tags"]) == [f"dataset:{first}", "retrain"]
    events = [message["event"] for message in received.messages]
    assert events == ["started", "started", "ended", "ended"]
    names = {message["dataset_name"] for message in received.messages[:2]}
    assert names == {f"{project.name}/photos", f"{project.name}/other"}
    failed, ended = received.messages[2:]
    assert (failed["run"], failed["status"], failed["verdict"]) == (run["id"], "failed", None)
    assert failed["reason"] == "it failed"
    assert run["id"] in failed["page"]
    assert (ended["status"], ended["verdict"], ended["reason"]) == (
        *("completed", "keep", "keep: worse"),
    )

    with scheduler(project) as printed:  # again, after a dataset was tagged while none ran
        third = project.dataset("photos", "retrain")
        until(lambda: project.started(third))
    assert [len(project.started(one)) for one in (first, second, third)] == [1, 1, 1]
    assert not project.started(quiet)
    assert not project.started(made)
    assert len(project.runs()) == 4

    text = printed.read_text() + project.console(project.schedulers()[0]["id"])
    assert "notify: the hook answered 500" in text
    everything = text + str(project.schedulers()) + str(project.runs())
    assert SECRET not in everything
    assert "Traceback" not in text


def test_a_dry_run_tells_and_creates_nothing(project: Project) -> None:
    base = project.base()
    tagged, published = (
        project.dataset("photos", "retrain"),
        project.dataset("older", published=True),
    )
    before = project.count()
    done = project.run("dry_run=true", "schedule=daily 03:00", "published=true")
    assert done.returncode == 0, done.stderr
    assert f"copies run {base} on queue {project.queue}" in done.stdout
    assert "  evaluate.gate=promote" in done.stdout
    assert f"dataset {project.name}/photos ({tagged}): would start a run" in done.stdout
    assert f"({published}): no run, as it was published before" in done.stdout
    assert "schedule daily 03:00: next on " in done.stdout
    assert "03:00 UTC" in done.stdout
    assert project.count() == before
    assert not list(project.home.glob("outputs"))


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("base=latest", "base=latest: there is no completed run in project"),
        ("base=none", "base=none: no pipeline run of that id"),
    ],
)
def test_a_base_that_is_not_there(project: Project, argument: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        retraining(project, argument).preflight()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epocs=3", "unknown parameter train.epocs; did you mean train.epochs"),
        ("train.epochs=many", "train.epochs=many: expected an integer"),
        ("run.queues.train=none", "run.queues.train=none: no such queue"),
    ],
)
def test_a_run_that_could_not_go_is_refused_before_it_is_made(
    project: Project, override: str, words: str
) -> None:
    project.base()
    with pytest.raises(BadInput, match=words):
        retraining(project, f"parameters=['{override}']").preflight()
    assert len(project.runs()) == 1


def test_bad_input_is_one_line(project: Project) -> None:
    project.base()
    done = project.run("queue=nowhere", "run.unpushed=true")
    assert done.returncode == 2
    assert done.stderr == "error: queue=nowhere: no such queue; create it in the web UI\n"
    assert not project.schedulers()


def test_on_an_agent_an_edited_parameter_wins_and_a_bad_one_is_told(project: Project) -> None:
    """What an agent does with the scheduler's task after a person edited it."""
    task = project.api(
        "tasks.create",
        name="retrain",
        type="service",
        project=project.inside,
        hyperparams={
            "Args": {"schedule": {"section": "Args", "name": "schedule", "value": "never"}}
        },
    )["id"]
    command, how = project.command("schedule='daily 03:00'", CLEARML_TASK_ID=task)
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, **how)
    assert done.stdout.startswith("error: schedule=never: "), done.stderr
    ended = project.api("tasks.get_by_id", task=task)["task"]
    assert ended["status"] == "failed"
    assert ended["status_message"].startswith("schedule=never: ")


def test_a_start_that_fails_is_told_once_and_tried_again(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.base()
    dataset = project.dataset("photos", "retrain")
    work = retraining(project, "run.idle_queues=false")
    with caplog.at_level(logging.INFO):
        assert work.start_for(dataset) is None
        assert work.start_for(dataset) is None
        assert caplog.text.count("no agent serves it") == 1
        queues = project.api("queues.get_all", name=f"^{project.queue}")["queues"]
        for one in queues:
            project.api("workers.register", worker=one["name"], queues=[one["id"]])
        assert work.start_for(dataset)
        assert work.start_for(dataset) == ""
    assert len(project.started(dataset)) == 1


def test_a_run_that_cannot_be_enqueued_leaves_no_draft(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clearml import Task

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("the server is gone")

    project.base()
    dataset = project.dataset("photos", "retrain")
    with monkeypatch.context() as patched:
        patched.setattr(Task, "enqueue", refuse)
        assert retraining(project).start_for(dataset) is None
    assert len(project.runs()) == 1
    assert retraining(project).start_for(dataset)


def test_only_what_is_published_after_the_first_start_counts(project: Project) -> None:
    project.base()
    dataset = project.dataset("photos", published=True)
    moment = datetime.now(timezone.utc)
    early, late = moment - timedelta(hours=1), moment + timedelta(hours=1)
    assert retraining(project, since=late).start_for_published(dataset) == ""
    assert retraining(project, since=early).start_for_published(dataset)


def test_another_dataset_than_the_wanted_one_gets_no_run(project: Project) -> None:
    project.base()
    other, wanted = project.dataset("other", "retrain"), project.dataset("photos", "retrain")
    work = retraining(project, f"dataset={project.name}/photos")
    assert work.start_for(other) == ""
    assert work.start_for(wanted)
    elsewhere = Project(project.conf, project.home).dataset("photos", "retrain")
    assert retraining(project).start_for(elsewhere) == ""


def test_a_scheduled_run_takes_the_newest_version_and_waits_for_the_one_before(
    project: Project,
) -> None:
    project.base()
    project.dataset("photos")
    newest = project.dataset("photos")
    work = retraining(project, "schedule=daily 03:00", f"dataset={project.name}/photos")
    run = work.start_scheduled()
    assert project.started(newest)[0]["id"] == run
    assert work.start_scheduled() is None  # the first is still queued
    project.end(run)
    assert work.start_scheduled() not in (None, run)


def test_a_schedule_without_a_dataset_repeats_the_run(project: Project) -> None:
    project.base()
    work = retraining(project, "schedule=daily 03:00")
    assert work.start_scheduled() == project.runs()[-1]["id"]
    args = project.runs()[-1]["hyperparams"]["Args"]
    assert args["ingest/source"]["value"] == "sample"
    assert args["evaluate/gate"]["value"] == "promote"


def test_the_schedule_fires_when_it_is_due_and_goes_on_after_a_failure() -> None:
    from pipelines.retraining.service import Times

    times, calls = Times.__new__(Times), []
    times._schedule_jobs, times._timeout_jobs, times._sync_frequency_minutes = [], {}, 0
    times._log = lambda *_, **__: None

    def start() -> None:
        calls.append(1)

    times.add_task(schedule_function=start, name="a", minute=1)
    assert times._step() is False  # not due yet: sleeps for the sync's 0 minutes
    (job,) = times.get_scheduled_tasks()
    job.starting_time -= timedelta(minutes=2)
    assert times._step() is True
    assert calls == [1]
    assert times._step() is False
