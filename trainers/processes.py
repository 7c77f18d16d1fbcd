"""Processes that help another one: they share its cores and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait

__all__ = ["helpers"]


def helpers(count: int) -> ProcessPoolExecutor:
    """Processes that are started when there is work for them.

    They leave interrupts to this one, and end when it has ended, were it by SIGKILL. Each computes
    with its share of the cores, unless ``OMP_NUM_THREADS`` says with how many threads.

    Args:
        count: how many.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    spawn = multiprocessing.get_context("spawn")  # threads of FFmpeg do not survive a fork
    return ProcessPoolExecutor(count, spawn, initializer=_begin, initargs=(threads,))


def _begin(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
