"""How long to wait before a lost source is tried again."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Waits that double from ``first_s`` to ``max_s``, each shortened at random by up to half.

    The randomness keeps many cameras from coming back to one recorder at the same moment.
    """

    def __init__(self, first_s: float, max_s: float, rng: random.Random | None = None) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._rng = rng or random.Random()  # noqa: S311 (no secret depends on it)
        self._next_s = first_s

    def next_s(self) -> float:
        """The wait before the next try, in seconds."""
        wait_s = min(self._next_s, self._max_s)
        self._next_s = min(wait_s * 2, self._max_s)
        return wait_s * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with the first wait again: the source works."""
        self._next_s = self._first_s
