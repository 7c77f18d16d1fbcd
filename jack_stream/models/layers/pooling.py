"""Pooling with any kernel (Jittor's own fails where the kernel is as large as the map)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jack_stream.runtime import jittor

__all__ = ["Margins", "Padding", "Sizes", "avg_pool", "margins_of", "max_pool", "pad", "sizes"]

jt = jittor()
Var = Any
Sizes = int | Sequence[int]
Margins = tuple[tuple[int, int], ...]
Padding = int | Sequence[int | tuple[int, int]]

# Below every float32 that can occur, but finite: Jittor's kernels are built with fast-math.
_LOWEST = -3.4e38


def sizes(value: Sizes, dimensions: int) -> tuple[int, ...]:
    """One size per dimension from one size or a sequence of them."""
    return (value,) * dimensions if isinstance(value, int) else tuple(value)


def pad(x: Var, margins: Margins) -> Var:
    """Zeros before and after each spatial axis of [N, C, spatial...]."""
    if not any(before or after for before, after in margins):
        return x
    shape = [n + before + after for n, (before, after) in zip(x.shape[2:], margins, strict=True)]
    sources = [f"i{axis + 2}-{before}" for axis, (before, _) in enumerate(margins)]
    return x.reindex([*x.shape[:2], *shape], ["i0", "i1", *sources])


def margins_of(padding: Padding, dimensions: int) -> Margins:
    """Zeros before and after each axis, from one size, one per axis, or a pair per axis."""
    if isinstance(padding, int):
        return ((padding, padding),) * dimensions
    return tuple((p, p) if isinstance(p, int) else (p[0], p[1]) for p in padding)


def _windows(x: Var, kernel: Sizes, stride: Sizes | None, padding: Padding, fill: float) -> Var:
    """[N, C, spatial...] -> [N, C, windows..., kernel...]."""
    dimensions = x.ndim - 2
    kernels, margins = sizes(kernel, dimensions), margins_of(padding, dimensions)
    strides = kernels if stride is None else sizes(stride, dimensions)
    counts, sources = [], []
    for axis in range(dimensions):
        k, s, (before, after) = kernels[axis], strides[axis], margins[axis]
        counts.append((x.shape[axis + 2] + before + after - k) // s + 1)
        sources.append(f"i{axis + 2}*{s}-{before}+i{axis + 2 + dimensions}")
    shape = [*x.shape[:2], *counts, *kernels]
    return x.reindex(shape, ["i0", "i1", *sources], fill)


def max_pool(x: Var, kernel: Sizes, stride: Sizes | None = None, padding: Padding = 0) -> Var:
    """The largest value of each window of [N, C, spatial...]; the stride defaults to the kernel.

    Margins are never a maximum. They may differ before and after an axis: ((0, 1), (1, 1)).
    """
    dimensions = x.ndim - 2
    windows = _windows(x, kernel, stride, padding, _LOWEST)
    return windows.max(list(range(2 + dimensions, 2 + 2 * dimensions)))


def avg_pool(x: Var, kernel: Sizes, stride: Sizes | None = None, padding: Padding = 0) -> Var:
    """The mean of each window of [N, C, spatial...], margins counted as zeros."""
    dimensions = x.ndim - 2
    windows = _windows(x, kernel, stride, padding, 0.0)
    return windows.mean(list(range(2 + dimensions, 2 + 2 * dimensions)))
