"""Checkpoints that outlive their machine: the newest one is an artifact of the training's task.

The upload runs beside the training, one at a time, and rests `PAUSE` times as long as it took.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from clearml import Task
from clearml.storage.helper import StorageHelper

from components.runtime.stores import datasets
from components.runtime.stores.attempts import Attempt

log = logging.getLogger(__name__)

ARTIFACT = "checkpoint"
PAUSE = 9  # rests for each second of upload: at most a tenth of the time goes into it
NOTICE_SECONDS = 7  # for the last upload after SIGTERM: an agent kills 10 s after it
FLUSH_SECONDS = 300  # for the last upload of a training that failed
EARLIER = 20  # tasks of the same fingerprint that are looked through


class ServerAttempt(Attempt):
    """Starts from the newest checkpoint of the same training, on this machine or the server."""

    def __init__(
        self, folder: Path, task: Task, key: str, complete_epochs: Callable[[Path], int]
    ) -> None:
        """`key` names the training; `complete_epochs` tells how far a checkpoint file is."""
        super().__init__(folder)
        self._task, self._key, self._complete_epochs = task, key, complete_epochs
        self._new, self._ending = threading.Event(), threading.Event()
        self._seen: int | None = None  # when the file was written that needs no upload any more
        self._thread = threading.Thread(target=self._upload_all, daemon=True)
        self._handler: Any = None

    def __enter__(self) -> ServerAttempt:
        super().__enter__()
        try:
            self._fetch()
        except Exception as error:  # whatever a server or storage does, the training can start
            log.warning("looking for an earlier checkpoint failed (%s)", error)
        self._seen = self._written()
        self._thread.start()
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGTERM, self._on_notice)
        return self

    def __exit__(self, *_: object) -> None:
        self._finish(FLUSH_SECONDS)
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)

    def saved(self) -> None:
        """Upload the file soon, unless it is the one that this attempt started from."""
        if self._written() != self._seen:
            self._seen = self._written()
            self._new.set()

    def succeeded(self) -> None:
        """Remove the checkpoint here and on the server, with those of earlier attempts."""
        self._new.clear()
        self._finish(FLUSH_SECONDS)
        super().succeeded()
        with contextlib.suppress(Exception):  # what can't be removed is no failure
            for task in self._attempts():  # one that still runs needs none: the result is there
                _delete(task.artifacts[ARTIFACT].url)
                task.delete_artifacts([ARTIFACT], raise_on_errors=False, delete_from_storage=False)

    def _fetch(self) -> None:
        """Put the checkpoint of the attempt that went furthest in place, unless it is here."""
        best = max(self._attempts(), key=_epoch, default=None)
        here = self._complete_epochs(self.file)
        if best is None or _epoch(best) <= here:
            return
        artifact = best.artifacts[ARTIFACT]
        copy = artifact.get_local_copy(force_download=True) if datasets.is_stored(artifact) else ""
        if not copy or self._complete_epochs(Path(copy)) <= here:
            log.warning("the checkpoint of task %s can't be had", best.id)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "fetched.tmp"
        shutil.move(copy, temporary)
        temporary.replace(self.file)
        log.info("the checkpoint after epoch %d is that of task %s", _epoch(best), best.id)

    def _attempts(self) -> list[Task]:
        """Tasks, this one too, that hold a checkpoint of the same training."""
        self._task.reload()
        fingerprint = self._task.get_parameter("kwargs/fingerprint")
        tasks = [self._task]
        if fingerprint:
            wanted = {
                "project": [self._task.project],
                "order_by": ["-last_update"],
                "search_hidden": True,
                "page": 0,
                "page_size": EARLIER,
                "_all_": {
                    "fields": ["hyperparams.kwargs.fingerprint.value"],
                    "pattern": f"^{fingerprint}$",
                },
            }
            found = Task.get_tasks(task_filter=wanted)
            tasks += [task for task in found if task.id != self._task.id]
        return [task for task in tasks if _metadata(task).get("training") == self._key]

    def _written(self) -> int | None:
        return self.file.stat().st_mtime_ns if self.file.exists() else None

    def _upload_all(self) -> None:
        """Upload the newest file again and again until the attempt ends."""
        while self._new.is_set() or not self._ending.is_set():
            if not self._new.wait(0.2):
                continue
            self._new.clear()
            began = time.monotonic()
            try:
                self._upload()
            except Exception as error:  # the training goes on without
                log.warning("the checkpoint was not uploaded (%s)", error)
            self._ending.wait(PAUSE * (time.monotonic() - began))

    def _upload(self) -> None:
        """Each file has a name of its own, so the last one stays whole until the new one is."""
        former = self._task.artifacts.get(ARTIFACT)
        temporary = self.folder / "upload.tmp"
        temporary.unlink(missing_ok=True)
        os.link(self.file, temporary)  # the training may replace the file meanwhile
        epoch = self._complete_epochs(temporary)
        path = temporary.replace(self.folder / f"epoch-{epoch}.npz")
        try:
            self._task.upload_artifact(
                ARTIFACT,
                path,
                metadata={"training": self._key, "epoch": epoch},
                wait_on_upload=True,
            )
        finally:
            path.unlink(missing_ok=True)
        self._task.reload()
        newest = self._task.artifacts[ARTIFACT]
        if former and former.url != newest.url and datasets.is_stored(newest):
            _delete(former.url)

    def _finish(self, seconds: float) -> None:
        """Wait until what is new is uploaded."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _on_notice(self, number: int, frame: FrameType | None) -> None:
        """The machine goes away, or the task was aborted: keep the last epoch, then end.

        By the system's handler: ClearML's (2.1.12) does nothing where there was none before it.
        """
        flush = threading.Thread(target=self._task.flush, daemon=True)  # it may hang
        flush.start()
        self._finish(NOTICE_SECONDS)
        flush.join(1)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _metadata(task: Task) -> dict[str, str]:
    artifact = task.artifacts.get(ARTIFACT)
    return (artifact.metadata or {}) if artifact else {}


def _epoch(task: Task) -> int:
    return int(_metadata(task)["epoch"])


def _delete(address: str) -> None:
    StorageHelper.get(address).delete(address, silent=True)
