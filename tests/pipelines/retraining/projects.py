"""A project on the server with one finished run and datasets, without having run anything."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.runtime.stores import steps_project
from pipelines.dag import PETS

ROOT = Path(__file__).parents[3]
SCRIPT = "pipelines/retrain_on_new_data.py"


class Project:
    """What a test does with the server, by its API."""

    def __init__(self, conf: Path, home: Path) -> None:
        os.environ["CLEARML_CONFIG_FILE"] = str(conf)
        self.conf, self.home = conf, home
        self.name = f"retrain-{uuid.uuid4().hex[:8]}"
        self.queue = self.name
        self.api("queues.create", name=self.queue)
        self.api("queues.create", name=f"{self.queue}-steps")
        self.inside = self._project(steps_project(self.name))

    def api(self, name: str, /, **data: Any) -> dict[str, Any]:
        from clearml.backend_api import Session

        service, action = name.split(".")
        answer = Session().send_request(service=service, action=action, json=data, method="post")
        assert answer.status_code == 200, f"{name}: {answer.text}"
        return answer.json()["data"]

    def base(self, **edits: str) -> str:
        """A run that completed, with the parameters that the pipeline has."""
        texts = PETS.parameters.defaults() | {"run/project": self.name, "run/mode": "queue"}
        queues = {f"run/queues/{stage}": f"{self.queue}-steps" for stage in PETS.stages}
        texts |= queues | {"run/queues/controller": self.queue, "run/dataset": "old"} | edits
        sections: dict[str, dict[str, Any]] = {}
        for name, text in PETS.parameters.by_section(texts).items():
            section, _, plain = name.partition("/")
            value = {"section": section, "name": plain, "value": text, "type": "str"}
            sections.setdefault(section, {})[plain] = value
        run = self.api(
            "tasks.create",
            name="pets",
            type="controller",
            project=self.inside,
            system_tags=["pipeline"],
            tags=["retrain", "reported", f"dataset:{'1' * 32}"],  # of an earlier retraining
            hyperparams=sections,
        )["id"]
        self.end(run)
        return run

    def end(self, run: str, status: str = "completed") -> None:
        self.api("tasks.dequeue", task=run)
        self.api("tasks.started", task=run)
        self.api(f"tasks.{status}", task=run, status_message=f"it {status}")

    def decide(self, run: str, **decision: str) -> None:
        """End a run as `ServerSteps.finish` does after the gate."""
        from clearml import Task

        Task.get_task(task_id=run).upload_artifact("decision", decision, wait_on_upload=True)
        self.end(run)

    def dataset(self, name: str, *tags: str, published: bool = False) -> str:
        """A finished version of a dataset, as `Dataset.finalize` leaves it."""
        task = self.api(
            "tasks.create",
            name=name,
            type="data_processing",
            project=self._project(f"{self.name}/.datasets/{name}"),
            system_tags=["dataset"],
            tags=list(tags),
        )["id"]
        self.end(task)
        if published:
            self.api("tasks.publish", task=task)
        return task

    def tag(self, task: str, *tags: str) -> None:
        self.api("tasks.update", task=task, tags=list(tags))

    def runs(self) -> list[dict[str, Any]]:
        """The runs, the oldest first."""
        wanted = {"project": [self.inside], "type": ["controller"], "order_by": ["created"]}
        return self.api("tasks.get_all", search_hidden=True, **wanted)["tasks"]

    def started(self, dataset: str) -> list[dict[str, Any]]:
        """The runs that were started for a dataset."""
        return [run for run in self.runs() if f"dataset:{dataset}" in run["tags"]]

    def enqueued(self) -> list[str]:
        found = self.api("queues.get_all", name=f"^{self.queue}$")["queues"][0]
        return [entry["task"] for entry in found["entries"]]

    def schedulers(self) -> list[dict[str, Any]]:
        return self.api("tasks.get_all", type=["service"], project=[self._project(self.name)])[
            "tasks"
        ]

    def count(self) -> int:
        """How many tasks there are in all."""
        return len(self.api("tasks.get_all", search_hidden=True, only_fields=["id"])["tasks"])

    def console(self, task: str) -> str:
        events = self.api("events.get_task_log", task=task, batch_size=500)["events"]
        return "\n".join(event["msg"] for event in events)

    def command(self, *arguments: str, **environment: str) -> tuple[list[str], dict[str, Any]]:
        """The retraining command and how to start it, for this project."""
        mine = [f"run.project={self.name}", "poll_minutes=0.01", "run.idle_queues=true"]
        own = {"CLEARML_CONFIG_FILE": str(self.conf), "HOME": str(self.home)}
        own |= {"CLEARML_CACHE_DIR": str(self.home), "PYTHONPATH": str(ROOT)}
        how = {"cwd": self.home, "env": os.environ | own | environment, "text": True}
        return [sys.executable, str(ROOT / SCRIPT), *mine, *arguments], how

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command, how = self.command(*arguments)
        return subprocess.run(command, capture_output=True, check=False, timeout=60, **how)

    def _project(self, name: str) -> str:
        hidden = ["hidden"] if "/." in name else []
        found = self.api("projects.get_all", name=f"^{name}$", search_hidden=True)["projects"]
        if found:
            return found[0]["id"]
        return self.api("projects.create", name=name, system_tags=hidden)["id"]


def until(done: Callable[[], Any], seconds: float = 30) -> Any:
    """What `done` returns, as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := done():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")
