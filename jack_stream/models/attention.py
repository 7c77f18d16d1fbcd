"""The attentions of VAANet and CTEN."""

from __future__ import annotations

import math
from typing import Any

from jack_stream.errors import UsageError
from jack_stream.models.layers import (
    BatchNorm1d,
    Conv1d,
    Linear,
    Module,
    constant,
    matmul,
    path_for,
    softmax,
)
from jack_stream.runtime import jittor

__all__ = ["MultiHeadAttention", "NonLocalBlock", "PositionScores", "weighted_mean"]

jt = jittor()
Var = Any


class PositionScores(Module):
    """One score per position of a map: 1x1 convolution, tanh, and a mixture of all positions.

    The subnets ``sa_net``, ``cwa_net``, ``ta_net`` and ``aa_net`` of the released code; what makes
    weights of the scores (softmax, ReLU) is theirs who use it.

    Args:
        channels: C of the map.
        positions: m, the number of positions.
        bias: whether the mixture has a bias; the temporal ones have one, which begins at 1.
    """

    def __init__(self, channels: int, positions: int, *, bias: bool) -> None:
        self.is_train = True
        self.conv = jt.nn.Sequential(Conv1d(channels, 1, 1, bias=False), BatchNorm1d(1))
        self.fc = Linear(positions, positions, bias=bias)
        if bias:
            self.fc.bias = jt.ones(positions)

    def execute(self, x: Var) -> Var:
        """[N, C, m] -> [N, m]."""
        conv, norm = self.conv
        # A convolution to one channel is a product with one row.
        scores = (x * conv.weight).sum(1, keepdims=True)
        return self.fc(norm(scores).squeeze(1).tanh())


def weighted_mean(x: Var, weights: Var) -> Var:
    """Mean over m of x [N, m, C] times weights [N, m] -> [N, C]; the weights need no sum of 1."""
    return (x * weights.unsqueeze(-1)).mean(1)


class NonLocalBlock(Module):
    """Every segment sees every other of its modality; CTEN (1)-(4).

    In the released code the result is normalised and the input is added with a learned weight
    that begins at zero, so that an untrained block passes on nothing of its input itself.

    Args:
        features: size of a segment's vector.
        inner: size of the projections.
    """

    def __init__(self, features: int = 2048, inner: int = 256) -> None:
        self.is_train = True
        self.inner = inner
        self.theta = Linear(features, inner)
        self.phi = Linear(features, inner)
        self.g = Linear(features, inner)
        self.out = Linear(inner, features)
        self.bn = BatchNorm1d(features)
        self.alpha = jt.zeros(1)

    def execute(self, x: Var) -> Var:
        """[B, S, features] -> [B, S, features]."""
        linear = path_for(self).linear
        scores = matmul(linear(x, self.theta), linear(x, self.phi).transpose(0, 2, 1))
        weights = softmax(scores * self.inner**-0.5, -1)
        seen = linear(matmul(weights, linear(x, self.g)), self.out)
        normed = self.bn(seen.reshape(-1, seen.shape[-1])).reshape(seen.shape)
        return normed + self.alpha * x


class MultiHeadAttention(Module):
    """Scaled dot-product attention with a ReLU behind each of its four projections.

    Args:
        features: size of a vector, a multiple of ``heads``.
        heads: number of heads.

    Raises:
        UsageError: the features can't be divided by the heads.
    """

    def __init__(self, features: int, heads: int) -> None:
        if features % heads:
            raise UsageError(f"{features} features can't be divided among {heads} heads")
        self.is_train = True
        self.heads = heads
        self.linear_q = Linear(features, features)
        self.linear_k = Linear(features, features)
        self.linear_v = Linear(features, features)
        self.linear_o = Linear(features, features)

    def execute(self, query: Var, key: Var, value: Var, mask: Any = None) -> tuple[Var, Var]:
        """Collect values by the likeness of query and key.

        Args:
            query: [B, Q, features].
            key: [B, K, features].
            value: [B, K, features].
            mask: bool [B, Q, K] array, False where a query must not look. As in the released code
                head h of sample b uses the mask of sample (b * heads + h) mod B, which is the
                sample's own only if all samples have the same mask.

        Returns:
            [B, Q, features], and the attention [B * heads, Q, K] with the heads of a sample
            side by side.
        """
        linear = path_for(self).linear
        q = self._split(linear(query, self.linear_q, relu=True))
        k = self._split(linear(key, self.linear_k, relu=True))
        v = self._split(linear(value, self.linear_v, relu=True))
        scores = matmul(q, k.transpose(0, 2, 1)) / math.sqrt(q.shape[-1])
        if mask is not None:
            allowed = constant(mask).repeat(self.heads, 1, 1)
            scores = jt.ternary(allowed > 0.5, scores, jt.full_like(scores, -1e9))
        attention = softmax(scores, -1)
        collected = self._join(matmul(attention, v))
        return linear(collected, self.linear_o, relu=True), attention

    def _split(self, x: Var) -> Var:
        b, s, features = x.shape
        x = x.reshape(b, s, self.heads, features // self.heads)
        return x.transpose(0, 2, 1, 3).reshape(b * self.heads, s, features // self.heads)

    def _join(self, x: Var) -> Var:
        bh, s, features = x.shape
        x = x.reshape(bh // self.heads, self.heads, s, features)
        return x.transpose(0, 2, 1, 3).reshape(bh // self.heads, s, self.heads * features)
