"""One time line per process: the wall clock, anchored once, advanced by the monotonic clock."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["NS_PER_S", "Clock", "TimeSource"]

NS_PER_S = 1_000_000_000


class TimeSource(Protocol):
    """Anything that tells the time in nanoseconds since the Unix epoch."""

    def now_ns(self) -> int:
        """The time now, never earlier than at the call before."""


class Clock:
    """Wall-clock time that never jumps backwards, however the machine's clock is set meanwhile.

    Attributes:
        offset_ns: what this is ahead of the monotonic clock, which all processes share.
    """

    def __init__(self) -> None:
        self.offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch as of this process's start, plus what passed since."""
        return self.offset_ns + time.monotonic_ns()
