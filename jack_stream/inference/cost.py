"""What windows cost alone and with others, as it was measured, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from jack_stream.inference.analyzer import Step

__all__ = ["Cost", "Curve"]

_MOST_WINDOWS = 32
_RATE = 0.2
"""Weight of a new measurement against all before it."""
_OUTLIER = 2.0
_LEAST_S = 1e-9


class Curve:
    """Seconds that a step takes, by the number of rows that it answers at once.

    They are kept for 1, 2, 4, 8 ... rows, as far as these were measured. A new measurement moves
    the nearest smaller one, and all others by half as much, because a machine that became slower
    is slower at every size.
    """

    def __init__(self) -> None:
        self._known: dict[int, float] = {}

    def observe(self, rows: int, seconds: float) -> None:
        """Take in that so many rows, at least one, took so long."""
        size = 1 << (rows.bit_length() - 1)
        if size not in self._known and (size == rows or not self._known):
            self._known[size] = seconds * size / rows
            return
        ratio = seconds / max(self.seconds(rows), _LEAST_S)
        moved = min(max(ratio, 1 / _OUTLIER), _OUTLIER) ** _RATE
        for other in self._known:
            self._known[other] *= moved if other == size else math.sqrt(moved)

    def seconds(self, rows: float) -> float:
        """How long so many rows take: between two sizes a line, beyond them in proportion."""
        if not self._known or rows <= 0:
            return 0.0
        sizes = sorted(self._known)
        if rows <= sizes[0] or rows >= sizes[-1]:
            end = sizes[0] if rows <= sizes[0] else sizes[-1]
            return self._known[end] * rows / end
        return float(np.interp(rows, sizes, [self._known[size] for size in sizes]))


class Cost:
    """What the windows of one model cost, and how many are best taken up at once."""

    def __init__(self) -> None:
        self._curves: dict[Step, Curve] = {}
        self._rows: dict[Step, float] = {}

    def observe(self, step: Step, rows: int, seconds: float) -> None:
        """Take in that a step answered so many rows in so long."""
        self._curves.setdefault(step, Curve()).observe(rows, seconds)

    def observe_window(self, rows: Mapping[Step, int]) -> None:
        """Take in how many rows a window asked for."""
        for step in rows.keys() | self._rows.keys():
            now = float(rows.get(step, 0))
            self._rows[step] = now + (1 - _RATE) * (self._rows.get(step, now) - now)

    def seconds(self, windows: int) -> float:
        """How long the networks take for so many usual windows at once; 0 if nothing is known."""
        return sum(
            self._curves[step].seconds(windows * rows)
            for step, rows in self._rows.items()
            if step in self._curves
        )

    def best_size(self, waiting: int) -> int:
        """How many of the waiting windows to take up at once, for the least mean time to a result.

        In batches of n, m windows have their results after C(n) (m / n + 1) / 2 in the mean. Where
        cost only grows with the number that is 1; where it hardly grows, all of them.
        """
        sizes = range(1, min(waiting, _MOST_WINDOWS) + 1)
        return min(sizes, key=lambda n: self.seconds(n) * (waiting / n + 1), default=1)

    def patience_s(self, waiting: int) -> float:
        """How soon another window must come for it to be worth waiting for, in seconds.

        Now, n windows have their results after C(n), and the next one C(1) later. With it, all have
        them after the wait and C(n + 1). The mean decides; 0 if it is not worth waiting at all.
        """
        if waiting >= _MOST_WINDOWS:
            return 0.0
        gain = self.seconds(waiting) - self.seconds(waiting + 1)
        return max(0.0, gain + self.seconds(1) / (waiting + 1))
