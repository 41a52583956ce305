"""One trial of a sweep: a run of the entry in a process of its own, and what came of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TextIO

from components.runtime.files import read_json, write_json
from pipelines.engine.run_records import RESULT, TASK

RECORD = "trial.json"  # in the trial's folder
INTERRUPTED = "interrupted"  # a file in the sweep's folder: no further trial starts
GRACE_SECONDS = 10  # that an interrupted trial gets to end its steps
RUNNING, QUEUED, COMPLETED, FAILED = "running", "queued", "completed", "failed"


@dataclass
class Trial:
    """What a trial was given and what it reached; accuracies are None where there is none."""

    number: int
    parameters: dict[str, str]  # as on the command line
    folder: str
    status: str = RUNNING
    reason: str = ""  # why it failed
    exit_code: int | None = None
    process: int | None = None  # the group of processes to end, while it runs here
    seconds: float | None = None
    validation: float | None = None
    test: float | None = None
    interval: list[float] = field(default_factory=list)  # of the test accuracy
    objective: str = ""  # what trials are compared by, if another figure than an accuracy
    reached: float | None = None  # of the objective
    task: str | None = None  # its controller on the server
    page: str | None = None

    def save(self) -> None:
        """Write it down in its folder, where the sweep looks."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        write_json(Path(self.folder) / RECORD, asdict(self))

    @property
    def place(self) -> str:
        """Where to look for more: its page, or its folder."""
        return self.page or os.path.relpath(self.folder)


def load(sweep: Path) -> list[Trial]:
    """The trials of a sweep by their numbers."""
    found = [Trial(**read_json(path)) for path in sweep.glob(f"**/{RECORD}")]
    return sorted(found, key=lambda one: one.number)


def run(entry: Path, number: int, overrides: list[str], sweep: Path, folder: Path) -> float | None:
    """Run a trial with the script `entry`; returns its test accuracy, None when there is none.

    A failure ends this trial alone. ClearML holds one pipeline a process, and joblib reuses its.
    """
    if (sweep / INTERRUPTED).exists():
        return None
    pairs = (override.lstrip("+").partition("=") for override in overrides)
    trial = Trial(number, {name: text for name, _, text in pairs}, str(folder))
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, entry, *overrides, f"hydra.run.dir='{folder}'"],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its steps end with it
    )
    trial.process = process.pid
    trial.save()
    errors: deque[str] = deque(maxlen=50)
    over = sweep / INTERRUPTED
    threads = [
        _pass_on(process.stdout, sys.stdout, number, deque(maxlen=0), over),
        _pass_on(process.stderr, sys.stderr, number, errors, over),
    ]
    try:
        process.wait()
    except BaseException:
        end([trial])
        raise
    for thread in threads:
        thread.join(timeout=5)  # a step that outlives the trial holds the pipes
    trial.seconds = round(time.monotonic() - began, 1)
    trial.process, trial.exit_code = None, process.returncode
    _read_result(trial, errors)
    trial.save()
    return trial.test


def _read_result(trial: Trial, errors: deque[str]) -> None:
    folder = Path(trial.folder)
    if (folder / TASK).exists():
        made = read_json(folder / TASK)
        trial.task, trial.page = made["id"], made["page"]
    if (folder / RESULT).exists():
        for name, value in read_json(folder / RESULT).items():
            if hasattr(trial, name):
                setattr(trial, name, value)
    if trial.exit_code:
        trial.status, trial.reason = FAILED, _reason(trial.exit_code, errors)
    else:
        trial.status = QUEUED if trial.task and not (folder / RESULT).exists() else COMPLETED
        if trial.status == QUEUED:
            trial.seconds = None  # those of the trial, not of enqueueing it


def _reason(exit_code: int, errors: deque[str]) -> str:
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    told = [line for line in errors if line.startswith("error: ")] or [*errors]
    return told[-1].removeprefix("error: ") if told else f"exit code {exit_code}"


def _pass_on(
    source: IO[str], target: TextIO, number: int, kept: deque[str], over: Path
) -> threading.Thread:
    """Copy lines with the trial's number ahead, as those of several trials mix.

    No more once the file `over` exists: how a trial dies of Ctrl-C is not worth reading.
    """

    def copy() -> None:
        for line in source:
            if not line.strip() or "%|" in line:  # a part of a progress bar
                continue
            kept.append(line.rstrip())
            if not over.exists():
                target.write(f"[{number}] {line}")
                target.flush()

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    return thread


def end(trials: list[Trial]) -> None:
    """End the processes of the trials that run here: by Ctrl-C, in the end by force."""
    groups = [trial.process for trial in trials if trial.process]
    for sent, seconds in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGKILL, 1)):
        groups = [group for group in groups if _send(group, sent)]
        stop = time.monotonic() + seconds
        while groups and time.monotonic() < stop:
            groups = [group for group in groups if _send(group, 0)]
            time.sleep(0.1)


def _send(group: int, number: int) -> bool:
    """Whether there still is such a group of processes."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(group, os.WNOHANG)  # else a child that ended would still count
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
