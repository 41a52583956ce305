"""Work on chunks of items in several processes, results in order, memory bounded.

Workers are forked from a small clean process (multiprocessing's fork server), so they are safe next
to TensorFlow's threads. It is started once, with the decoder loaded and without running the
caller's script again, so workers start in milliseconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from components.runtime.schema import BadInput

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALL_WORK = 8_000_000  # bytes of input below which starting processes costs more than it saves
PRELOAD = ["components.imaging.decoding", "concurrent.futures.process"]  # what every worker needs
FILE_WORK = 10_000  # bytes that take as long as what every file costs
CHUNK_BYTES, CHUNK_ITEMS = 2_000_000, 32


def count_workers(wanted: int, sizes: Iterable[int]) -> int:
    """How many processes to use on files of these sizes (bytes): 1 for little work, else `wanted`.

    When `wanted` is 0, as many as this process may use CPUs.
    """
    if sum(size + FILE_WORK for size in sizes) < SMALL_WORK:
        return 1
    return wanted or usable_cpus()


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1


def chunked(items: Iterable[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Lists of neighbouring items, each bounded in number and in bytes."""
    chunk: list[Item] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += size_of(item)
        if total >= CHUNK_BYTES or len(chunk) == CHUNK_ITEMS:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Yield `(item, function(item))` in the order of `items`.

    With one worker it runs in this process. At most two items a worker are on their way.
    `function` must not be of the caller's script (`__main__`), which workers do not load. Raises
    what `function` raises, and BadInput when the system kills a worker.
    """
    if workers == 1:
        yield from ((item, function(item)) for item in items)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    pool = ProcessPoolExecutor(workers, context, _prepare_worker)
    try:
        with _script_not_run_again():
            for _ in range(workers):  # processes start when work arrives: start them all here
                pool.submit(int)
        yield from in_order(pool, function, items, 2 * workers)
    except BrokenProcessPool as error:
        raise BadInput(
            "a worker process was killed, most likely for want of memory; set fewer workers, "
            "such as ingest.workers=1 and preprocess.workers=1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[tuple[Item, Result]]:
    """The same in any pool, with at most so many items `ahead` of the one that is taken."""
    waiting: deque = deque()
    for item in items:
        waiting.append((item, pool.submit(function, item)))
        if len(waiting) > ahead:
            item, future = waiting.popleft()
            yield item, future.result()
    while waiting:
        item, future = waiting.popleft()
        yield item, future.result()


@contextlib.contextmanager
def _script_not_run_again() -> Iterator[None]:
    """Hide `__main__` while workers start: they would import it, with all that it imports.

    What they do import is found where this process finds it: their server looks by itself.
    """
    main, paths = sys.modules["__main__"], os.environ.get("PYTHONPATH")
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if paths is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = paths


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
