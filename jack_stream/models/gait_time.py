"""Where BPM-GCN's layers look beyond a frame: a whole window and a stream answer differently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from jack_stream.models.layers import ExecutionPath
from jack_stream.models.layers.pooling import Margins

__all__ = ["WHOLE_WINDOW", "TimeForm", "WholeWindow"]

Var = Any


class TimeForm(Protocol):
    """The frames around the ones at hand. Maps are in the path's layout."""

    def around(self, y: Var, path: ExecutionPath, /) -> tuple[Var, Margins | None]:
        """A map with the frames that a convolution of nine taps needs beside it.

        Returns:
            The map and the zeros around it, None for the layer's own.
        """

    def centred(self, x: Var, path: ExecutionPath, /) -> Var:
        """The frames of the block's input at which that convolution is centred."""

    def mean(self, value: Var) -> Var:
        """A mean over the window's frames, from the mean over the frames at hand."""

    def excited(self, levels: Var, weigh: Callable[[Var], Var]) -> Var:
        """Weights ``[N, T]`` of the frames at hand, by ``weigh``, which looks at whole windows."""

    def pooled(self, x: Var, path: ExecutionPath, *, largest: bool) -> Var:
        """The mean, or the largest, over the window's frames and all joints: ``[N, C]``."""


class WholeWindow:
    """The frames at hand are the window; there is nothing but zeros around it."""

    def around(self, y: Var, _path: ExecutionPath, /) -> tuple[Var, Margins | None]:
        """The map itself, between the layer's own zeros."""
        return y, None

    def centred(self, x: Var, _path: ExecutionPath, /) -> Var:
        """All of them."""
        return x

    def mean(self, value: Var) -> Var:
        """That mean."""
        return value

    def excited(self, levels: Var, weigh: Callable[[Var], Var]) -> Var:
        """All weights."""
        return weigh(levels)

    def pooled(self, x: Var, path: ExecutionPath, *, largest: bool) -> Var:
        """Over all there is."""
        return path.leave(x).max([2, 3]) if largest else path.mean(x)


WHOLE_WINDOW = WholeWindow()
