"""Which pictures to keep when fewer are wanted than come."""

from __future__ import annotations

from jack_stream.clock import NS_PER_S

__all__ = ["RateLimit"]

_TOLERANCE_NS = 1_000_000  # time stamps of files are rounded to as much as a millisecond


class RateLimit:
    """Keeps the first picture of every period of a fixed grid, so that the rate never drifts."""

    def __init__(self, fps: float | None) -> None:
        self._fps = fps
        self._start_ns: int | None = None
        self._slot = -1

    def keeps(self, at_ns: int) -> bool:
        """Whether to keep a picture of this time; times must not decrease."""
        if self._fps is None:
            return True
        if self._start_ns is None:
            self._start_ns = at_ns
        slot = int((at_ns - self._start_ns + _TOLERANCE_NS) * self._fps / NS_PER_S)
        if slot <= self._slot:
            return False
        self._slot = slot
        return True
