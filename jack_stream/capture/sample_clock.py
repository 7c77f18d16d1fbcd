"""When the samples of a sound card were taken, from block times that jitter."""

from __future__ import annotations

from jack_stream.clock import NS_PER_S

__all__ = ["SampleClock"]


class SampleClock:
    """Counts samples, and follows the card's drift against our clock slowly.

    Each block's reported time moves the count by a hundredth of their difference, so that jitter
    of some milliseconds is averaged away and a drift of 100 ppm leaves an error of 0.2 ms with
    blocks of 20 ms. A difference of more than 100 ms means that samples are missing.
    """

    _GAIN = 100
    _GAP_NS = 100_000_000

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._next_ns: int | None = None

    def place(self, samples: int, reported_ns: int) -> tuple[int, bool]:
        """The time of the first sample of a block of so many, and whether a gap precedes it."""
        gap = False
        if self._next_ns is None:
            self._next_ns = reported_ns
        error_ns = reported_ns - self._next_ns
        if abs(error_ns) > self._GAP_NS:
            gap = True
            self._next_ns = reported_ns
        else:
            self._next_ns += error_ns // self._GAIN
        start_ns = self._next_ns
        self._next_ns += samples * NS_PER_S // self._sample_rate
        return start_ns, gap
