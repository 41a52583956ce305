"""The scheduler of retraining as a task of a queue."""

from __future__ import annotations

from tests.e2e.conftest import ClearML
from tests.pipelines.retraining.projects import SCRIPT, Project, until


def test_on_an_agent_the_parameters_of_its_task_count(clearml: ClearML) -> None:
    project = Project(clearml.conf, clearml.home)
    project.base()
    done = clearml.checkout.python(
        SCRIPT,
        *(f"run.project={project.name}", f"queue={project.queue}-steps", "run.idle_queues=true"),
        *("poll_minutes=0.01", "notify=null"),
        **clearml.environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (submitted,) = project.schedulers()
    assert submitted["status"] == "queued"
    shown = submitted["hyperparams"]["Args"]
    assert shown["tag"]["value"] == "retrain"
    assert shown["tag"]["description"].startswith("Each ClearML dataset with this tag")

    clone = project.api("tasks.clone", task=submitted["id"], new_task_name="mine")["id"]
    edit = {"section": "Args", "name": "tag", "value": "fresh", "type": "str"}
    project.api("tasks.edit_hyper_params", task=clone, hyperparams=[edit])
    project.api("tasks.enqueue", task=clone, queue_name=clearml.queues["controller"])
    other, tagged = project.dataset("photos", "retrain"), project.dataset("photos", "fresh")
    try:
        until(lambda: project.started(tagged) or clearml.task(clone)["status"] == "failed", 90)
    finally:
        project.api("tasks.stop", task=clone)
    assert project.started(tagged), clearml.console(clone)
    assert not project.started(other)
    assert clearml.finished(clone, seconds=60)["status"] == "stopped"
