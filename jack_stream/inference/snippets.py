"""The pictures of a window as snippets on a fixed grid, each encoded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import ModelInputError
from jack_stream.features.snippets import frames_of_cell, grid_cells
from jack_stream.features.spatial import to_clip
from jack_stream.window.spec import Window

__all__ = ["Encoder", "Features", "SnippetCache"]

Features = dict[str, NDArray[np.float32]]
Encoder = Callable[[NDArray[np.float32]], Features]
"""Clips float32 ``[N, 3, 16, H, W]`` -> named features ``[N, ...]``."""


class _Known(NamedTuple):
    times: tuple[int, ...]
    features: Features


class SnippetCache:
    """Encodes each cell of a stream's grid once, however many windows it is in.

    A cell is encoded again only if a late picture changes which pictures are chosen from it.

    Args:
        encode: the expensive half of the model.
        period_ns: length of a cell; windows and hops are whole numbers of cells.
        fps: frame rate of the videos that the weights were trained on.

    Attributes:
        encoded: snippets that went through the encoder.
    """

    def __init__(self, encode: Encoder, *, period_ns: int, fps: float) -> None:
        self.encoded = 0
        self._encode = encode
        self._period_ns = period_ns
        self._fps = fps
        self._known: dict[tuple[int, int], _Known] = {}

    def features(self, window: Window) -> tuple[Features, int]:
        """The features of a window's snippets, in order.

        In the place of a cell without pictures stands the nearest one that has some.

        Returns:
            named features ``[snippets, ...]``, and how many cells had no picture.

        Raises:
            ModelInputError: no cell has a picture.
        """
        origin = window.origin_ns
        times = np.array([f.stamp.captured_at_ns - origin for f in window.frames], np.int64)
        cells = grid_cells(window.start_ns - origin, window.end_ns - origin, self._period_ns)
        seen = {int(cell) for cell in times // self._period_ns if cell in cells}
        if not seen:
            raise ModelInputError(f"window {window.index} of {window.stream} has no picture")
        known = {cell: self._known.get((origin, cell)) for cell in seen}
        chosen = {
            cell: frames_of_cell(times, cell, self._period_ns, fps=self._fps) for cell in seen
        }
        stale = [
            cell
            for cell in sorted(seen)
            if (entry := known[cell]) is None or entry.times != tuple(times[chosen[cell]])
        ]
        if stale:
            clips = [self._clip(window, chosen[cell]) for cell in stale]
            found = self._encode(np.stack(clips))
            for row, cell in enumerate(stale):
                features = {name: value[row] for name, value in found.items()}
                known[cell] = _Known(tuple(times[chosen[cell]]), features)
            self.encoded += len(stale)
        self._known = {(origin, cell): entry for cell, entry in known.items() if entry is not None}
        rows = [self._known[origin, _nearest(cell, seen)].features for cell in cells]
        gathered = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return gathered, len(cells) - len(seen)

    def _clip(self, window: Window, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        frames = window.frames
        return to_clip((frames[index].image for index in indices), np.asarray)


def _nearest(cell: int, seen: set[int]) -> int:
    return min(seen, key=lambda other: (abs(other - cell), other))
