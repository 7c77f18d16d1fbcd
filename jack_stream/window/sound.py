"""Blocks of sound as one array on the exact time grid of a window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.wire.messages import Audio

__all__ = ["cut_sound"]

_JITTER_SAMPLES = 2
"""Blocks that follow each other are laid without a seam if their times are off by no more."""


def cut_sound(
    blocks: Sequence[Audio], start_ns: int, end_ns: int
) -> tuple[NDArray[np.float32], float]:
    """Lay blocks of sound into a window; what was not captured is silence.

    Args:
        blocks: of one sample rate, ascending in time.
        start_ns: first instant of the window.
        end_ns: first instant after it.

    Returns:
        float32 ``[round((end - start) * rate)]``, and the share of it, 0 to 1, that was captured.

    Raises:
        ValueError: there are no blocks, or their sample rates differ.
    """
    rates = {block.sample_rate for block in blocks}
    if len(rates) != 1:
        raise ValueError(f"blocks of one sample rate are needed, not of {sorted(rates)}")
    rate = rates.pop()
    sound = np.zeros(round((end_ns - start_ns) * rate / NS_PER_S), np.float32)
    captured = np.zeros(len(sound), np.bool_)
    expected: int | None = None
    for block in blocks:
        place = round((block.stamp.captured_at_ns - start_ns) * rate / NS_PER_S)
        if expected is not None and abs(place - expected) <= _JITTER_SAMPLES:
            place = expected
        expected = place + len(block.samples)
        first, last = max(place, 0), min(expected, len(sound))
        if first < last:
            sound[first:last] = block.samples[first - place : last - place]
            captured[first:last] = True
    return sound, float(captured.mean()) if len(sound) else 0.0
