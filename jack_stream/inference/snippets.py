"""The pictures of a window as snippets on a fixed grid, each encoded once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import ModelInputError
from jack_stream.features.snippets import frames_of_cell, grid_cells
from jack_stream.features.spatial import to_clip
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Frame

__all__ = [
    "Encoder",
    "Features",
    "SnippetCache",
    "cells_of",
    "clip_of",
    "nearest",
    "pictures_of_cells",
]

Features = dict[str, NDArray[np.float32]]
Encoder = Callable[[NDArray[np.float32]], Features]
"""Clips float32 ``[N, 3, 16, H, W]`` -> named features ``[N, ...]``."""


class _Known(NamedTuple):
    pictures: tuple[tuple[str, int], ...]
    features: Features


class SnippetCache:
    """Encodes each cell of a stream's grid once, however many windows it is in.

    A cell is encoded again only if a late picture changes which pictures are chosen from it. Only
    what the last window needed is kept, so each stream should have a cache of its own.

    Args:
        encode: the expensive half of the model.
        period_ns: length of a cell; windows and hops are whole numbers of cells.
        fps: frame rate of the videos that the weights were trained on.
        batch: snippets that are encoded at once at the most, which bounds the memory it takes.

    Attributes:
        encoded: snippets that went through the encoder.
    """

    def __init__(self, encode: Encoder, *, period_ns: int, fps: float, batch: int = 8) -> None:
        self.encoded = 0
        self._encode = encode
        self._period_ns = period_ns
        self._fps = fps
        self._batch = batch
        self._known: dict[tuple[int, int], _Known] = {}

    def features(self, window: Window) -> tuple[Features, int]:
        """The features of a window's snippets, in order.

        In the place of a cell without pictures stands the nearest one that has some.

        Returns:
            named features ``[snippets, ...]``, and how many cells had no picture.

        Raises:
            ModelInputError: no cell has a picture.
        """
        chosen = pictures_of_cells(window, self._period_ns, self._fps)
        if not chosen:
            raise ModelInputError(f"window {window.index} of {window.stream} has no picture")
        origin, held, stale = window.origin_ns, self._known, []
        self._known = {}
        for cell, pictures in chosen.items():
            known = held.get((origin, cell))
            if known is not None and known.pictures == _identities(pictures):
                self._known[origin, cell] = known
            else:
                stale.append(cell)
        for first in range(0, len(stale), self._batch):
            some = stale[first : first + self._batch]
            found = self._encode(np.stack([clip_of(chosen[cell]) for cell in some]))
            for row, cell in enumerate(some):
                features = {name: value[row] for name, value in found.items()}
                self._known[origin, cell] = _Known(_identities(chosen[cell]), features)
            self.encoded += len(some)
        cells = cells_of(window, self._period_ns)
        rows = [self._known[origin, nearest(cell, chosen)].features for cell in cells]
        gathered = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return gathered, len(cells) - len(chosen)


def cells_of(window: Window, period_ns: int) -> range:
    """The cells of a window on the grid that begins at its stream's origin."""
    origin = window.origin_ns
    return grid_cells(window.start_ns - origin, window.end_ns - origin, period_ns)


def pictures_of_cells(window: Window, period_ns: int, fps: float) -> dict[int, list[Frame]]:
    """Each cell's 16 pictures, ascending by cell; cells without any picture are left out."""
    frames = window.frames
    times = np.array([f.stamp.captured_at_ns - window.origin_ns for f in frames], np.int64)
    cells = cells_of(window, period_ns)
    return {
        cell: [frames[at] for at in frames_of_cell(times, cell, period_ns, fps=fps)]
        for cell in np.unique(times // period_ns).tolist()
        if cell in cells
    }


def clip_of(pictures: list[Frame]) -> NDArray[np.float32]:
    """16 pictures, shrunk already, as float32 ``[3, 16, H, W]`` in 0..255."""
    return to_clip((frame.image for frame in pictures), np.asarray)


def nearest(cell: int, seen: Collection[int]) -> int:
    """The cell among those seen that is nearest; of two the earlier one."""
    return min(seen, key=lambda other: (abs(other - cell), other))


def _identities(pictures: list[Frame]) -> tuple[tuple[str, int], ...]:
    return tuple((frame.stamp.session, frame.stamp.seq) for frame in pictures)
