"""Pieces of a stream on a fixed grid, each encoded once however many windows it is in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Hashable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import ModelInputError
from jack_stream.features.snippets import frames_of_cell, grid_cells
from jack_stream.features.spatial import to_clip
from jack_stream.inference.analyzer import Arrays, Ask, Step
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Frame

__all__ = [
    "Encoder",
    "Piece",
    "PieceCache",
    "Pieces",
    "SnippetCache",
    "cells_of",
    "clip_of",
    "identities",
    "nearest",
    "pictures_of_cells",
]


Encoder = Callable[[NDArray[np.float32]], Arrays]
"""Clips float32 ``[N, 3, 16, H, W]`` -> named features ``[N, ...]``."""


class Piece(NamedTuple):
    """A piece of a window that is encoded by itself.

    Attributes:
        place: what it is known by, such as where on the stream's grid it is.
        content: what it is made of: encoded again if that has changed.
        make: the inputs that it is encoded from, each without the axis of rows.
    """

    place: Hashable
    content: Hashable
    make: Callable[[], Arrays]


class _Slot:
    """A piece's inputs, and its features as soon as they are there."""

    def __init__(self, piece: Piece) -> None:
        self.content = piece.content
        self.inputs = piece.make()
        self.features: Arrays | None = None


class Pieces:
    """A window's pieces, of which some may still have to be encoded.

    Attributes:
        slots: all, in order.
    """

    def __init__(self, step: Step, slots: list[_Slot], new: list[_Slot]) -> None:
        self.slots = slots
        self._step = step
        self._new = new

    def encode(self) -> Generator[Ask, Arrays, int]:
        """Ask for the features of the new pieces; how many there were.

        Then for those whose own window was given up before it had them.
        """
        lacking, asked = self._new, 0
        while True:
            names = lacking[0].inputs if lacking else ()
            rows = {name: np.stack([slot.inputs[name] for slot in lacking]) for name in names}
            found = yield Ask(self._step, rows)
            for row, slot in enumerate(lacking):
                slot.features = {name: value[row] for name, value in found.items()}
                slot.inputs = {}
            asked += len(lacking)
            if not (lacking := [s for s in dict.fromkeys(self.slots) if s.features is None]):
                return asked

    def features(self, places: Iterable[int]) -> Arrays:
        """Named features ``[places, ...]`` of the pieces at these places of the list."""
        rows = [self.slots[at].features or {} for at in places]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


class PieceCache:
    """Keeps the pieces of a stream's last window; each stream should have a cache of its own.

    Args:
        step: encodes them.

    Attributes:
        encoded: pieces that were given out to be encoded.
    """

    def __init__(self, step: Step) -> None:
        self.encoded = 0
        self._step = step
        self._held: dict[Hashable, _Slot] = {}

    def take(self, pieces: Iterable[Piece]) -> Pieces:
        """A window's pieces, with what is known of them."""
        held, self._held = self._held, {}
        slots: list[_Slot] = []
        new: list[_Slot] = []
        for piece in pieces:
            slot = self._held.get(piece.place) or held.get(piece.place)
            if slot is None or slot.content != piece.content:
                slot = _Slot(piece)
                new.append(slot)
            self._held[piece.place] = slot
            slots.append(slot)
        self.encoded += len(new)
        return Pieces(self._step, slots, new)


class SnippetCache:
    """Encodes the pictures of each cell of a stream's grid once.

    A cell is encoded again only if a late picture changes which pictures are chosen from it.

    Args:
        step: encodes ``clips`` float32 ``[N, 3, 16, H, W]``.
        period_ns: length of a cell; windows and hops are whole numbers of cells.
        fps: frame rate of the videos that the weights were trained on.
    """

    def __init__(self, step: Step, *, period_ns: int, fps: float) -> None:
        self._cache = PieceCache(step)
        self._period_ns = period_ns
        self._fps = fps

    @property
    def encoded(self) -> int:
        """Snippets that were given out to be encoded."""
        return self._cache.encoded

    def take(self, window: Window) -> Snippets:
        """A window's snippets, with what is known of them.

        Raises:
            ModelInputError: no cell has a picture.
        """
        chosen = pictures_of_cells(window, self._period_ns, self._fps)
        if not chosen:
            raise ModelInputError(f"window {window.index} of {window.stream} has no picture")
        pieces = self._cache.take(
            Piece((window.origin_ns, cell), identities(pictures), partial(_clips, pictures))
            for cell, pictures in chosen.items()
        )
        return Snippets(pieces, list(chosen), cells_of(window, self._period_ns))


class Snippets:
    """A window's snippets.

    Attributes:
        empty: how many cells have no picture.
    """

    def __init__(self, pieces: Pieces, seen: list[int], cells: range) -> None:
        self.empty = len(cells) - len(seen)
        self._pieces = pieces
        self._places = [seen.index(nearest(cell, seen)) for cell in cells]

    def features(self) -> Generator[Ask, Arrays, Arrays]:
        """Ask for what is new; named features ``[cells, ...]``.

        In the place of a cell without pictures stands the nearest one that has some.
        """
        yield from self._pieces.encode()
        return self._pieces.features(self._places)


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


def _clips(pictures: list[Frame]) -> Arrays:
    return {"clips": clip_of(pictures)}


def nearest(cell: int, seen: Collection[int]) -> int:
    """The cell among those seen that is nearest; of two the earlier one."""
    return min(seen, key=lambda other: (abs(other - cell), other))


def identities(pictures: list[Frame]) -> tuple[tuple[str, int], ...]:
    """What tells these pictures from any others of their stream."""
    return tuple((frame.stamp.session, frame.stamp.seq) for frame in pictures)
