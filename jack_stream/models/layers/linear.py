"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

from jack_stream.models.layers.arrays import Module
from jack_stream.runtime import jittor

__all__ = ["Linear", "matmul"]

jt = jittor()
Var = Any


def matmul(a: Var, b: Var) -> Var:
    """The matrix product of the last two axes: [..., M, K] x [..., K, N] -> [..., M, N].

    The leading axes must be equal, or one operand has none.
    """
    return jt.nn.matmul(a, b)


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
