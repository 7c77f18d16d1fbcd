"""Reductions and activations where Jittor's own return something else than PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from jack_stream.runtime import jittor

__all__ = ["Module", "amax", "argmax", "constant", "relu", "softmax", "topk"]

jt = jittor()
Var = Any

Module: Any = jt.Module
"""Jittor's base class of all modules."""


def constant(values: Any) -> Var:
    """A float32 Var that is never trained: an adjacency, a table of positions.

    Under an attribute name that begins with an underscore it stays out of the module's weights;
    under any other name it is saved and loaded with them, as a buffer of PyTorch is.
    """
    return jt.array(np.ascontiguousarray(values, np.float32)).stop_grad()


def relu(x: Var) -> Var:
    """max(x, 0), element by element."""
    return jt.maximum(x, 0.0)


def softmax(x: Var, dim: int) -> Var:
    """exp(x) / sum(exp(x)) over one axis, shifted by the maximum so that it can't overflow."""
    shifted = (x - x.max(dim, keepdims=True)).exp()
    return shifted / shifted.sum(dim, keepdims=True)


def argmax(x: Var, dim: int) -> Var:
    """The index (int32) of the largest value along an axis; Jittor's own returns a pair."""
    index, _ = jt.argmax(x, dim)
    return index


def amax(x: Var, dim: int, *, keepdims: bool = False) -> Var:
    """The largest value along an axis."""
    return x.max(dim, keepdims=keepdims)


def topk(x: Var, k: int, dim: int) -> tuple[Var, Var]:
    """The k largest values along an axis in descending order, and their indices (int32).

    Gradients flow to the values. k may be as large as the axis.
    """
    indices, values = jt.argsort(x, dim=dim, descending=True)
    head = [slice(None)] * x.ndim
    head[dim] = slice(0, k)
    return values[tuple(head)], indices[tuple(head)]
