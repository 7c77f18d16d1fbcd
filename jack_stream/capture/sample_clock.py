"""When the samples of a sound card were taken, from block times that jitter."""

from __future__ import annotations

from jack_stream.capture.drift import DriftMeter
from jack_stream.clock import NS_PER_S

__all__ = ["SampleClock"]


class SampleClock:
    """Counts samples, and follows the card's drift against our clock slowly.

    The difference between count and reported time is made up within about two seconds, but never
    faster than by a hundredth of the time that passes. So jitter of some milliseconds is averaged
    away, and a drift of 200 ppm leaves an error of 0.4 ms. A difference of more than 100 ms means
    that samples are missing.
    """

    _FOLLOW_NS = 2 * NS_PER_S
    _SLEW = 100
    _GAP_NS = 100_000_000

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._next_ns: int | None = None
        self._begun_ns, self._counted = 0, 0
        self._drift = DriftMeter()

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the card counts than its rate says; None while unknown."""
        return self._drift.ppm

    def place(self, samples: int, reported_ns: int) -> tuple[int, bool]:
        """The time of the first sample of a block of so many, and whether a gap precedes it."""
        gap = False
        length_ns = samples * NS_PER_S // self._sample_rate
        if self._next_ns is None or abs(reported_ns - self._next_ns) > self._GAP_NS:
            gap = self._next_ns is not None
            self._next_ns = self._begun_ns = reported_ns
            self._counted = 0
            self._drift = DriftMeter()
        wanted_ns = (reported_ns - self._next_ns) * length_ns // self._FOLLOW_NS
        most_ns = length_ns // self._SLEW
        self._next_ns += max(-most_ns, min(most_ns, wanted_ns))
        counted_ns = self._begun_ns + self._counted * NS_PER_S // self._sample_rate
        self._drift.note(reported_ns, reported_ns - counted_ns)
        self._counted += samples
        start_ns = self._next_ns
        self._next_ns += length_ns
        return start_ns, gap
