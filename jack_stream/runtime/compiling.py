"""The processes that compile Jittor's operators: they end with their parent, and it with them."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from types import ModuleType
from typing import Any

__all__ = ["end_compilers", "keep_compilers_in_order"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_EX_UNAVAILABLE = 69  # sysexits.h
_LOST = (
    "jack-stream: a process that compiled operators was killed (is there too little memory?)."
    " Nothing is broken: start again, and what is compiled already is used.\n"
)


def keep_compilers_in_order(utils: ModuleType) -> None:
    """Let jittor_utils start its compiling processes in a way that leaves nobody behind."""
    changed: Any = utils
    changed.pool_initializer = dying_with(os.getpid(), changed.pool_initializer)
    changed.Pool = watched_pool


def end_compilers() -> None:
    """End the processes that compiled. Jittor would keep them, and makes new ones when needed."""
    utils: Any = sys.modules["jittor_utils"]
    pool = getattr(utils, "p", None)
    if pool is not None:
        pool.terminate()
        pool.join()
        atexit.unregister(utils.pool_cleanup)
        del utils.p
        utils.pool_size = 0


def dying_with(parent: int, initialize: Callable[[], None]) -> Callable[[], None]:
    """A start for compiling processes that ends them with their parent.

    They hold Jittor's lock through the file that they inherit. Left behind by a parent that was
    killed, they would wait for work for ever, and everyone else for the lock.
    """

    def start() -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        # They are ended by SIGTERM, for which the parent may have a handler that ends nothing.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getppid() != parent:
            os._exit(1)
        initialize()

    return start


def watched_pool(processes: int, initializer: Callable[[], None]) -> Any:
    """A pool whose owner ends when one of its processes is killed.

    Python's pool puts another process in its place, but never does the task that was lost: its
    owner would wait for ever, and everyone else for the lock on the cache.
    """
    others = set(multiprocessing.active_children())
    # In a process that was spawned itself, Python's own Pool spawns too, which can't take this.
    pool = multiprocessing.get_context("fork").Pool(processes, initializer=initializer)
    # Kept for as long as they are watched: the pool forgets one that ended, and with the last
    # reference to it what tells of its end is closed, perhaps before anybody has listened.
    compilers = set(multiprocessing.active_children()) - others
    terminate, ended = pool.terminate, threading.Event()

    def end() -> None:
        ended.set()
        terminate()

    def watch() -> None:
        wait([compiler.sentinel for compiler in compilers])
        if not ended.is_set():
            os.write(2, _LOST.encode())
            os._exit(_EX_UNAVAILABLE)

    pool.terminate = end  # type: ignore[method-assign]
    threading.Thread(target=watch, name="compilers", daemon=True).start()
    return pool
