"""A checkout with a git remote, a project and queues of its own, and two real agents."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.dag import PETS
from tests.checkout import Checkout

# Seconds instead of minutes; the stages, the loop and the report are the real ones.
TINY = ("preprocess.image_size=32", "train.epochs=1", "evaluate=quick")
STAGES = ("ingest", "preprocess", "train", "evaluate")  # of a run from random weights


class ClearML:
    """A project on a ClearML server, seen from a process apart, as a person sees it."""

    def __init__(self, checkout: Checkout, conf: Path, home: Path) -> None:
        self.checkout = checkout
        self.conf = conf
        self.home = home
        self.name = f"pets-{uuid.uuid4().hex[:8]}"
        self.queues = {"controller": f"{self.name}-services", "steps": f"{self.name}-steps"}
        self.environment = {
            "CLEARML_CONFIG_FILE": str(conf),
            "HOME": str(home),
            "CLEARML_CACHE_DIR": str(home / "cache"),
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the entry with this project and these queues."""
        return self.checkout.run(*self.arguments(*arguments), **self.environment | environment)

    def arguments(self, *more: str) -> list[str]:
        """What every run of the entry is given, and more."""
        queues = [f"run.queues.{stage}={self.queues['steps']}" for stage in PETS.stages]
        mine = [f"run.project={self.name}", f"run.queues.controller={self.queues['controller']}"]
        return [*TINY, *mine, *queues, *more]

    def api(self, name: str, /, **data: Any) -> dict[str, Any]:
        """Call the server's API; what it answers."""
        from clearml.backend_api import Session

        service, action = name.split(".")
        answer = Session().send_request(service=service, action=action, json=data, method="post")
        assert answer.status_code == 200, f"{name}: {answer.text}"
        return answer.json()["data"]

    def task(self, task: str) -> dict[str, Any]:
        """Everything that the server knows of a task."""
        return self.api("tasks.get_by_id", task=task)["task"]

    def controllers(self) -> list[dict[str, Any]]:
        """The pipeline's runs, the newest first."""
        return self.tasks(type=["controller"])

    def steps(self, controller: str) -> dict[str, dict[str, Any]]:
        """The steps that a run made itself, by stage."""
        return {task["name"]: task for task in self.tasks(parent=controller)}

    def champions(self) -> list[dict[str, Any]]:
        """The registered models that have the tag."""
        return self.api("models.get_all", project=[self._project()], tags=["champion"])["models"]

    def tasks(self, **wanted: Any) -> list[dict[str, Any]]:
        """Runs and steps with these properties, the newest first."""
        wanted |= {"project": [self._project()], "order_by": ["-created"], "search_hidden": True}
        return self.api("tasks.get_all", **wanted)["tasks"]

    def _project(self) -> str:
        """The id of the hidden project of the pipeline."""
        name = f"^{self.name}/.pipelines/pets$"
        return self.api("projects.get_all", name=name, search_hidden=True)["projects"][0]["id"]

    def until(self, task: str, done: Callable[[dict[str, Any]], bool], seconds: float) -> dict:
        """The task as soon as `done` says so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.task(task)
            if done(found):
                return found
            time.sleep(1)
        raise AssertionError(f"{found['name']} is {found['status']} after {seconds} s")

    def finished(self, task: str, seconds: float = 300) -> dict[str, Any]:
        """The task when it has ended, in whatever way."""
        ends = ("completed", "failed", "stopped")
        return self.until(task, lambda found: found["status"] in ends, seconds)

    def new_run(self, base: str, **edits: str) -> str:
        """What NEW RUN of the web UI sends: texts without types; the id of the new run."""
        arguments = [{"name": name, "value": text} for name, text in edits.items()]
        queue = self.api("queues.get_all", name=f"^{self.queues['controller']}$")["queues"][0]["id"]
        answer = self.api("pipelines.start_pipeline", task=base, queue=queue, args=arguments)
        return answer["pipeline"]

    def console(self, task: str) -> str:
        """What the task printed."""
        events = self.api("events.get_task_log", task=task, batch_size=500)["events"]
        return "\n".join(event["msg"] for event in events)

    def metrics(self, task: str) -> set[str]:
        """Names of the scalars and plots on a task's page, as `title/series`."""
        scalars = self.task(task).get("last_metrics", {})
        names = {f"{v['metric']}/{v['variant']}" for m in scalars.values() for v in m.values()}
        plots = self.api("events.get_task_plots", task=task)["plots"]
        return names | {f"{plot['metric']}/{plot['variant']}" for plot in plots}

    def pictures(self, task: str) -> set[str]:
        """Names of the debug samples on a task's page, as `title/series`."""
        answer = self.api("events.debug_images", metrics=[{"task": task}], iters=1)
        iterations = [iteration for one in answer["metrics"] for iteration in one["iterations"]]
        return {f"{e['metric']}/{e['variant']}" for i in iterations for e in i["events"]}


@contextlib.contextmanager
def project(checkout: Checkout, folder: Path, conf: Path) -> Iterator[ClearML]:
    """A project with this checkout, pushed, and two agents: one for runs, one for steps."""
    _push(checkout.root, folder / "remote.git")
    (folder / "home").mkdir()
    os.environ["CLEARML_CONFIG_FILE"] = str(conf)
    made = ClearML(checkout, conf, folder / "home")
    for queue in made.queues.values():
        made.api("queues.create", name=queue)
    with _agent(made, "controller"), _agent(made, "steps"):
        yield made


@pytest.fixture(scope="package")
def clearml(clearml_conf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClearML]:
    """A project with a pushed checkout and two agents, and the run of `local`."""
    folder = tmp_path_factory.mktemp("server")
    with project(Checkout(folder), folder, clearml_conf) as made:
        done = made.run("run=local")  # ahead of all tests, so that it makes each step itself
        assert done.returncode == 0, done.stdout + done.stderr
        yield made


@pytest.fixture(scope="package")
def local(clearml: ClearML) -> str:
    """The id of a finished run in local mode, the first of its project."""
    controller = clearml.controllers()[-1]
    assert controller["status"] == "completed"
    return controller["id"]


def _push(root: Path, remote: Path) -> None:
    """Commit everything below `root` and push it to a remote on disk."""
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["config", "user.name", "tests"],
        ["config", "user.email", "tests@localhost"],
        ["remote", "add", "origin", str(remote)],
        ["add", "."],
        ["commit", "-q", "-m", "A user's checkout"],
        ["push", "-q", "origin", "main"],
    ):
        subprocess.run(["git", *arguments], cwd=root, check=True)


@contextlib.contextmanager
def _agent(project: ClearML, queue: str) -> Iterator[None]:
    """A real clearml-agent that runs tasks with this environment's Python."""
    python = Path(sys.executable).parent
    log = (project.home / f"agent-{queue}.log").open("w")
    daemon = (python / "clearml-agent", "daemon", "--foreground", "--cpu-only")
    agent = subprocess.Popen(
        [*daemon, "--queue", project.queues[queue]],
        env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        | project.environment
        | {
            "HOME": str(project.home / queue),
            "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
            "CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1",
            "CLEARML_WORKER_ID": f"{project.name}:{queue}",
            "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": "0.5",  # not 5
        },
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 60
        while f"{project.name}:{queue}" not in json.dumps(project.api("workers.get_all")):
            assert time.monotonic() < end, Path(log.name).read_text()
            time.sleep(0.5)
        yield
    finally:
        agent.terminate()
        try:
            agent.wait(timeout=20)
        except subprocess.TimeoutExpired:
            agent.kill()
        log.close()
