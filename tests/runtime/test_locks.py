"""The one lock: held by one process while it lives."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

from components.runtime.locks import is_held, locked


def hold(file: Path, taken: multiprocessing.Event, seconds: float) -> None:
    with locked(file):
        taken.set()
        time.sleep(seconds)


def test_the_lock_is_held_by_one_process_and_freed_when_it_dies(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    taken, unused = spawn.Event(), spawn.Event()
    file = tmp_path / "locks" / "one.lock"
    holder = spawn.Process(target=hold, args=(file, taken, 60))
    holder.start()
    assert taken.wait(20)
    assert is_held(file)
    with locked(tmp_path / "locks" / "other.lock"):  # another step does not wait
        pass
    waiter = spawn.Process(target=hold, args=(file, unused, 0))
    waiter.start()
    waiter.join(3)
    assert waiter.is_alive()
    holder.kill()
    waiter.join(10)
    assert waiter.exitcode == 0
    holder.join()
    assert not is_held(file)
