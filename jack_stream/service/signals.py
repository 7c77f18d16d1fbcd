"""Ending a process in order when it is asked to."""

from __future__ import annotations

import signal
import sys
import threading

__all__ = ["stop_on_signals"]


def stop_on_signals(*, ctrl_c: bool = True) -> threading.Event:
    """An event that SIGTERM sets, and Ctrl-C; a second Ctrl-C ends the process at once.

    Args:
        ctrl_c: whether Ctrl-C counts; it is ignored otherwise.
    """
    stop = threading.Event()

    def end(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            sys.exit(130)
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end if ctrl_c else signal.SIG_IGN)
    return stop
