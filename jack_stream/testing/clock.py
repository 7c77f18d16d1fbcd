"""A clock that only moves when told to."""

from __future__ import annotations

import threading

from jack_stream.clock import NS_PER_S

__all__ = ["FakeClock"]


class FakeClock:
    """Stands in for :class:`jack_stream.clock.Clock`; safe to use from several threads.

    Args:
        start_ns: what it shows at first, nanoseconds since the Unix epoch.
    """

    def __init__(self, start_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = start_ns
        self._moved = threading.Condition()

    def now_ns(self) -> int:
        """The time that it shows."""
        with self._moved:
            return self._now_ns

    def advance(self, seconds: float = 0.0, *, ns: int = 0) -> None:
        """Move it forward by seconds and nanoseconds.

        Raises:
            ValueError: that would be backwards; the real clock never does that.
        """
        step = round(seconds * NS_PER_S) + ns
        if step < 0:
            raise ValueError(f"a clock can't be moved back by {-step} ns")
        with self._moved:
            self._now_ns += step
            self._moved.notify_all()

    def wait_until(self, at_ns: int, timeout_s: float) -> bool:
        """Wait until others have moved the clock to a time; False after real ``timeout_s``."""
        with self._moved:
            return self._moved.wait_for(lambda: self._now_ns >= at_ns, timeout_s)
