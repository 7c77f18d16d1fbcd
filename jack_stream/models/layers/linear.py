"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

from jack_stream.models.layers.arrays import Module
from jack_stream.models.ops import operators, usable
from jack_stream.runtime import jittor

__all__ = ["Linear", "matmul"]

jt = jittor()
Var = Any


class _BatchMatmul(jt.Function):  # type: ignore[name-defined]
    """[B, M, K] x [B, K, N] on oneDNN, with the gradients of both operands."""

    def __init__(self, *, a_transposed: bool, b_transposed: bool) -> None:
        self.transposed = (a_transposed, b_transposed)

    def execute(self, a: Var, b: Var) -> Var:
        self.operands = (a, b)
        return operators().batch_matmul(a, b, *(int(flag) for flag in self.transposed))

    def grad(self, g: Var) -> tuple[Var, Var]:
        (a, b), (ta, tb) = self.operands, self.transposed
        product = operators().batch_matmul
        # With y = op(a) op(b): d op(a) = g op(b)^T and d op(b) = op(a)^T g.
        left = product(b, g, int(tb), 1) if ta else product(g, b, 0, int(not tb))
        right = product(g, a, 1, int(ta)) if tb else product(a, g, int(not ta), 0)
        return left, right


def matmul(a: Var, b: Var, *, a_transposed: bool = False, b_transposed: bool = False) -> Var:
    """The matrix product of the last two axes: [..., M, K] x [..., K, N] -> [..., M, N].

    Differentiable. Jittor's own for batches is a naive loop in one thread on the CPU.

    Args:
        a: the left operand.
        b: the right operand; its leading axes are those of ``a``, or it has none.
        a_transposed: ``a`` is stored as [..., K, M].
        b_transposed: ``b`` is stored as [..., N, K].
    """
    if b.ndim == 2 and a.ndim > 2 and not a_transposed:
        rows = matmul(a.reshape(-1, a.shape[-1]), b, b_transposed=b_transposed)
        return rows.reshape(*a.shape[:-1], rows.shape[-1])
    if a.shape[:-2] != b.shape[:-2]:
        raise ValueError(f"matmul of {list(a.shape)} and {list(b.shape)}: leading axes differ")
    if not usable():
        a = a.transpose(*range(a.ndim - 2), -1, -2) if a_transposed else a
        b = b.transpose(*range(b.ndim - 2), -1, -2) if b_transposed else b
        return jt.nn.matmul(a, b)
    lead = tuple(a.shape[:-2])
    a3, b3 = a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:])
    if jt.flags.no_grad:
        y = operators().batch_matmul(a3, b3, int(a_transposed), int(b_transposed))
    else:
        y = _BatchMatmul(a_transposed=a_transposed, b_transposed=b_transposed)(a3, b3)
    return y.reshape(*lead, *y.shape[1:])


class Linear(Module):
    """y = x W^T + b over the last axis.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: whether b is there.
    """

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True) -> None:
        self.is_train = True
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)  # PyTorch's initialisation
        self.weight = jt.init.uniform((out_features, in_features), "float32", -bound, bound)
        self.bias = jt.init.uniform((out_features,), "float32", -bound, bound) if bias else None

    def execute(self, x: Var) -> Var:
        """[..., in_features] -> [..., out_features]."""
        return jt.nn.linear(x, self.weight, self.bias)
