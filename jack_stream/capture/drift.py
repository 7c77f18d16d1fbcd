"""How fast another clock runs against ours, seen through delays that jitter."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import ArrayLike

from jack_stream.clock import NS_PER_S

__all__ = ["DriftMeter", "slope"]


def slope(x: ArrayLike, y: ArrayLike) -> float:
    """The median of the slopes between all pairs of points; 0 if no two differ in x.

    Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968: up to 29%
    of the points may lie anywhere.
    """
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    first, second = np.triu_indices(len(xs), 1)
    run = xs[second] - xs[first]
    rise = ys[second] - ys[first]
    return float(np.median(rise[run != 0] / run[run != 0])) if run.any() else 0.0


class DriftMeter:
    """Watches the offset between our clock and a source's: ours less theirs, plus a delay.

    Delays jitter, but rarely fall below a floor, so that only the least offset of every four
    seconds counts. The drift is the slope of those of the last five minutes; nothing is said before
    20 seconds have passed, and more than 1000 ppm, which no clock has, is taken for 1000.
    """

    _BIN_NS = 4 * NS_PER_S
    _BINS = 75
    _ENOUGH = 5
    _RECENT = 10
    _LIMIT = 1e-3

    def __init__(self) -> None:
        self.ppm: float | None = None
        """How much faster the source's clock runs than ours; None while unknown."""
        self._bins: deque[tuple[int, int]] = deque(maxlen=self._BINS)
        self._begun_ns: int | None = None
        self._least = (0, 0)  # of the bin that is not over: when, and the offset
        self._slope = 0.0

    def note(self, at_ns: int, offset_ns: int) -> None:
        """Take an offset, seen at a time of our clock, into account."""
        if self._begun_ns is None or at_ns - self._begun_ns >= self._BIN_NS:
            if self._begun_ns is not None:
                self._bins.append(self._least)
                self._measure()
            self._begun_ns = at_ns
            self._least = (at_ns, offset_ns)
        elif offset_ns < self._least[1]:
            self._least = (at_ns, offset_ns)

    def least_ns(self, at_ns: int) -> int:
        """The least offset of the last 40 seconds, carried to this time by the drift."""
        recent = [*self._bins][-self._RECENT :]
        return min(
            offset_ns + round(self._slope * (at_ns - seen_ns))
            for seen_ns, offset_ns in (*recent, self._least)
        )

    def _measure(self) -> None:
        if len(self._bins) < self._ENOUGH:
            return
        start_ns, start_offset_ns = self._bins[0]
        seen = [(at - start_ns, offset - start_offset_ns) for at, offset in self._bins]
        found = slope(*zip(*seen, strict=True))
        self._slope = min(max(found, -self._LIMIT), self._LIMIT)
        self.ppm = -1e6 * self._slope
