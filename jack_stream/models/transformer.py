"""The encoder block of vision transformers (ViT, AST, VideoMAE, BERT's relatives).

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, in the pre-norm form of timm; the
parameter names are timm's and VideoMAE's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jack_stream.models.layers import Linear, Module, matmul, softmax
from jack_stream.models.layers.paths import path_for
from jack_stream.models.ops import usable
from jack_stream.runtime import jittor

__all__ = ["MLP", "Attention", "Block", "LayerNorm", "attend", "gelu", "project", "sinusoids"]

jt = jittor()
Var = Any


def gelu(x: Var) -> Var:
    """The activation x * Phi(x) in its exact form (Hendrycks and Gimpel 2016)."""
    return x * (0.5 * (1.0 + jt.erf(x * math.sqrt(0.5))))


def project(x: Var, layer: Linear) -> Var:
    """A linear layer over the last axis, the fast way where nothing is trained."""
    return path_for(layer).linear(x, layer)


def sinusoids(positions: int, width: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The fixed position table of Vaswani et al. 2017 (section 3.5): float32 [positions, width].

    Column j has sin (j even) or cos (j odd) of ``position / 10000^(2 floor(j / 2) / width)``.
    """
    columns = np.arange(width)
    angles = np.arange(positions)[:, None] / np.power(10_000.0, 2 * (columns // 2) / width)
    return np.where(columns % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)


def attend(q: Var, k: Var, v: Var, bias: Var | None = None) -> tuple[Var, Var]:
    """Scaled dot-product attention.

    Args:
        q: [B, H, M, D]; scaled by 1 / sqrt(D) in here.
        k: [B, H, N, D].
        v: [B, H, N, D].
        bias: added to the scores, broadcast to [B, H, M, N]; None adds nothing.

    Returns:
        The mixed values [B, H, M, D] and the attention [B, H, M, N], rows summing to 1.
    """
    scores = matmul(q * (1 / math.sqrt(q.shape[-1])), k, b_transposed=True)
    attention = _softmax_of_rows(scores if bias is None else scores + bias)
    return matmul(attention, v), attention


# One pass over each row while it is in the cache; as separate kernels this took five times longer.
_SOFTMAX = """
    const int width = in0_shape1;
    #pragma omp parallel for
    for (int row = 0; row < in0_shape0; row++) {
        const float* x = in0_p + (int64)row * width;
        float* y = out0_p + (int64)row * width;
        float highest = x[0], total = 0;
        for (int i = 1; i < width; i++) highest = x[i] > highest ? x[i] : highest;
        for (int i = 0; i < width; i++) { y[i] = std::exp(x[i] - highest); total += y[i]; }
        const float scale = 1 / total;
        for (int i = 0; i < width; i++) y[i] *= scale;
    }
"""


def _softmax_of_rows(scores: Var) -> Var:
    """Softmax over the last axis; without a gradient where none is recorded."""
    if not (jt.flags.no_grad and usable()):
        return softmax(scores, -1)
    rows = scores.reshape(-1, scores.shape[-1])
    header = "#include <cmath>"
    fused = jt.code(rows.shape, rows.dtype, [rows], cpu_header=header, cpu_src=_SOFTMAX)
    return fused.reshape(scores.shape)


class LayerNorm(Module):
    """Normalises the last axis (Ba et al. 2016).

    Args:
        width: size of the last axis.
        eps: added to the variance.
    """

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        self.is_train = True
        self.eps = eps
        self.weight = jt.ones((width,))
        self.bias = jt.zeros((width,))

    def execute(self, x: Var) -> Var:
        """[..., width] -> the same shape."""
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        return centred / jt.sqrt(variance + self.eps) * self.weight + self.bias


class MLP(Module):
    """Two linear layers with GELU between; parameters ``fc1`` and ``fc2``."""

    def __init__(self, width: int, hidden: int) -> None:
        self.is_train = True
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def execute(self, x: Var) -> Var:
        """[..., width] -> the same shape."""
        return project(gelu(project(x, self.fc1)), self.fc2)


class Attention(Module):
    """Multi-head self-attention with one matrix for queries, keys and values.

    Args:
        width: of the tokens.
        heads: number of heads; divides the width.
        split_bias: the bias is kept as ``q_bias`` and ``v_bias``, keys have none (VideoMAE after
            BEiT); otherwise it is ``qkv.bias`` (timm).
    """

    def __init__(self, width: int, heads: int, *, split_bias: bool) -> None:
        self.is_train = True
        self.heads = heads
        self.qkv = Linear(width, 3 * width, bias=not split_bias)
        if split_bias:
            self.q_bias = jt.zeros((width,))
            self.v_bias = jt.zeros((width,))
        self._split_bias = split_bias
        self.proj = Linear(width, width)

    def execute(self, x: Var) -> tuple[Var, Var]:
        """Tokens [B, N, width] -> mixed tokens [B, N, width], attention [B, heads, N, N]."""
        b, n, width = x.shape
        qkv = project(x, self.qkv)
        if self._split_bias:
            qkv = qkv + jt.concat([self.q_bias, jt.zeros((width,)), self.v_bias])
        q, k, v = qkv.reshape(b, n, 3, self.heads, width // self.heads).transpose(2, 0, 3, 1, 4)
        mixed, attention = attend(q, k, v)
        return project(mixed.transpose(0, 2, 1, 3).reshape(b, n, width), self.proj), attention


class Block(Module):
    """x + Attention(LayerNorm(x)), then x + MLP(LayerNorm(x)).

    Args:
        width: of the tokens.
        heads: of the attention.
        split_bias: as in ``Attention``.
        eps: of the norms.
    """

    def __init__(self, width: int, heads: int, *, split_bias: bool, eps: float = 1e-6) -> None:
        self.is_train = True
        self.norm1 = LayerNorm(width, eps)
        self.attn = Attention(width, heads, split_bias=split_bias)
        self.norm2 = LayerNorm(width, eps)
        self.mlp = MLP(width, 4 * width)

    def execute(self, x: Var) -> tuple[Var, Var]:
        """Tokens [B, N, width] -> tokens of the same shape, attention [B, heads, N, N]."""
        mixed, attention = self.attn(self.norm1(x))
        x = x + mixed
        return x + self.mlp(self.norm2(x)), attention
