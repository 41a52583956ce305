"""What runs at the same time is computed once; waiting always ends."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

from pipelines.engine.fingerprint import Dependencies
from pipelines.engine.single_flight import locked

WANTED = Dependencies("train", {"epochs": "1"}, {"dataset": "d"}, {}, {})


def hold(folder: Path, taken: multiprocessing.Event, seconds: float) -> None:
    with locked(folder, WANTED):
        taken.set()
        time.sleep(seconds)


def test_the_lock_is_held_by_one_process_and_freed_when_it_dies(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    taken, unused = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=hold, args=(tmp_path, taken, 60))
    holder.start()
    assert taken.wait(20)
    other = Dependencies("train", {"epochs": "2"}, {"dataset": "d"}, {}, {})
    with locked(tmp_path, other):  # another step does not wait
        pass
    waiter = spawn.Process(target=hold, args=(tmp_path, unused, 0))
    waiter.start()
    waiter.join(3)
    assert waiter.is_alive()
    holder.kill()
    waiter.join(10)
    assert waiter.exitcode == 0
    holder.join()
