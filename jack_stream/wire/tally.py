"""Counts with labels, and histograms, within the flat maps of a health message.

A name, its labels and for a histogram the bound of a bucket are joined by dots, as in
``windows.door.vaanet`` and ``latency_s.door.vaanet.0.25``: streams, methods and processes' roles
have no dots in them. Bounds come last, because they have.
"""

from __future__ import annotations

import bisect
from collections import Counter

__all__ = ["BOUNDS_S", "INFINITE", "Tally", "labelled"]

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets in seconds; one without a bound follows."""
INFINITE = "inf"


def labelled(name: str, *labels: str) -> str:
    """The key of a count that belongs to a stream, a method or a process."""
    return ".".join((name, *labels))


class Tally:
    """Collects durations and counts by stream and method."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sums: dict[str, float] = {}
        self._buckets: dict[str, list[int]] = {}

    def count(self, name: str, *labels: str) -> None:
        """Count one more."""
        self._counts[labelled(name, *labels)] += 1

    def observe(self, seconds: float, name: str, *labels: str) -> None:
        """Sort a duration into its histogram."""
        key = labelled(name, *labels)
        buckets = self._buckets.setdefault(key, [0] * (len(BOUNDS_S) + 1))
        buckets[bisect.bisect_left(BOUNDS_S, seconds)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + seconds

    def counters(self) -> dict[str, int]:
        """All counts, and how many durations fell into each bucket that has any."""
        found = dict(self._counts)
        bounds = [*map(str, BOUNDS_S), INFINITE]
        for key, buckets in self._buckets.items():
            numbers = zip(bounds, buckets, strict=True)
            found.update({labelled(key, bound): number for bound, number in numbers if number})
        return found

    def gauges(self) -> dict[str, float]:
        """The sum of each histogram's durations in seconds."""
        return dict(self._sums)
