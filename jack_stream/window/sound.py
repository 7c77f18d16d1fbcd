"""Blocks of sound as one array on the exact time grid of a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.wire.messages import Audio

__all__ = ["cut_sound"]

_SEAM_NS = 5_000_000
"""Blocks that follow each other are laid without a seam unless their times are off by more."""


def cut_sound(
    blocks: Sequence[Audio], start_ns: int, end_ns: int
) -> tuple[NDArray[np.float32], float]:
    """Lay blocks of sound into a window; what was not captured is silence.

    A run of blocks that follow each other is laid without a seam, in its middle place, though
    their times jitter, or drift against their samples: at 200 ppm, what is at the ends of ten
    seconds lies a millisecond off.

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
    for place, samples in _runs(blocks, start_ns, rate):
        first, last = max(place, 0), min(place + len(samples), len(sound))
        if first < last:
            sound[first:last] = samples[first - place : last - place]
            captured[first:last] = True
    return sound, float(captured.mean()) if len(sound) else 0.0


def _runs(
    blocks: Sequence[Audio], start_ns: int, rate: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Blocks that follow each other as one, with the place of the first sample."""
    run: list[NDArray[np.float32]] = []
    places: list[float] = []  # of the run's first sample, by the time of each of its blocks
    counted, before = 0, None
    for block in blocks:
        place = (block.stamp.captured_at_ns - start_ns) * rate / NS_PER_S - counted
        if before is not None and not _follows(before, block, (place - places[0]) / rate):
            yield round(median(places)), np.concatenate(run)
            place, counted, run, places = place + counted, 0, [], []
        run.append(block.samples)
        places.append(place)
        counted += len(block.samples)
        before = block
    yield round(median(places)), np.concatenate(run)


def _follows(before: Audio, block: Audio, off_s: float) -> bool:
    one, two = before.stamp, block.stamp
    without_loss = one.session == two.session and two.seq == one.seq + 1
    return without_loss and not block.discontinuity and abs(off_s) * NS_PER_S <= _SEAM_NS
