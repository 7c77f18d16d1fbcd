"""Which 16 frames the video networks look at.

A video that is known from end to end is sampled as the networks were trained: ``sample_snippets``
cuts it into equal segments and takes one run of consecutive frames from each (temporal segment
networks). A stream has no end, so ``grid_cells`` and ``frames_of_cell`` lay a fixed grid over event
time instead: a snippet belongs to one cell of the grid for ever, whichever window looks at it, and
its features can be computed once.
"""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt

from jack_stream.errors import ModelInputError

__all__ = ["SNIPPET_FRAMES", "frames_of_cell", "grid_cells", "sample_snippets"]

SNIPPET_FRAMES = 16
"""Consecutive frames of one snippet."""

Indices = npt.NDArray[np.int64]


def sample_snippets(
    frames: npt.ArrayLike,
    snippets: int,
    *,
    length: int = SNIPPET_FRAMES,
    rng: random.Random | None = None,
) -> Indices:
    """Temporal-segment sampling of a whole video, as the released loaders do it.

    A list that is too short is repeated from its start. Otherwise it is cut into equal segments
    (the remainder is dropped) and a run of ``length`` frames is taken from each, from its middle
    or, for training, anywhere but at the last possible start, which the authors never draw.

    Args:
        frames: the frames to choose from (numbers or indices), in order, [F].
        snippets: number of snippets S.
        length: frames of a snippet L.
        rng: draws the starts, one value per segment; None takes the middle.

    Returns:
        int64 [S, L], values of ``frames``.

    Raises:
        ModelInputError: there are no frames.
    """
    chosen = np.asarray(frames, dtype=np.int64)
    if chosen.size == 0:
        raise ModelInputError("a video without frames has no snippets")
    chosen = np.resize(chosen, max(chosen.size, snippets * length))
    segment = chosen.size // snippets
    runs = np.empty((snippets, length), np.int64)
    for index in range(snippets):
        start = (
            max(0, segment // 2 - length // 2)
            if rng is None
            else rng.randint(0, max(0, segment - length - 1))
        )
        runs[index] = chosen[index * segment + start :][:length]
    return runs


def grid_cells(start_ns: int, end_ns: int, period_ns: int) -> range:
    """The cells of the fixed grid that lie wholly inside a window.

    Cell k is [k * period, (k + 1) * period) of the stream's clock, so a window that moves on by
    whole periods keeps all its cells but the oldest.

    Args:
        start_ns: start of the window.
        end_ns: its end, exclusive.
        period_ns: length of a cell.
    """
    return range(-(-start_ns // period_ns), end_ns // period_ns)


def frames_of_cell(
    captured_at_ns: npt.ArrayLike,
    cell: int,
    period_ns: int,
    *,
    fps: float,
    length: int = SNIPPET_FRAMES,
) -> Indices:
    """The frames that are nearest to ``length`` even instants around the middle of a cell.

    On a stream at the rate ``fps`` these are ``length`` consecutive frames, as in training. On a
    slower one frames are repeated, on a faster one left out, so that a snippet always shows the
    same span of time. Only frames of the cell itself are taken.

    Args:
        captured_at_ns: times of the frames at hand, ascending, [F].
        cell: number of the cell.
        period_ns: length of a cell.
        fps: frame rate of the videos that the weights were trained on.
        length: frames of a snippet L.

    Returns:
        int64 [L], ascending indices into ``captured_at_ns``.

    Raises:
        ModelInputError: no frame lies in the cell.
    """
    times = np.asarray(captured_at_ns, dtype=np.int64)
    first, last = np.searchsorted(times, [cell * period_ns, (cell + 1) * period_ns])
    if first == last:
        raise ModelInputError(f"no frame in cell {cell} of the grid of {period_ns / 1e9:g} s")
    inside = times[first:last]
    steps = np.arange(length, dtype=np.float64) - (length - 1) / 2
    middle = cell * period_ns + period_ns // 2
    wanted = middle + np.rint(steps * 1e9 / fps).astype(np.int64)
    right = np.searchsorted(inside, wanted).clip(1, max(1, inside.size - 1))
    left = right - 1
    right = np.minimum(right, inside.size - 1)
    nearer_right = inside[right] - wanted < wanted - inside[left]
    return np.asarray(first + np.where(nearer_right, right, left), np.int64)
