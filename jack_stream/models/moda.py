"""MODA's duplex attention: keys of one modality are aligned with another's before attention.

Zhang et al., "MODA: MOdular Duplex Attention for Multimodal Perception, Cognition, and Emotion
Understanding", ICML 2025. A Llama decoder layer (RMSNorm, rotary positions, grouped heads, gated
MLP) whose keys of visual tokens are mixed with what a Gram matrix of the text says about them.

It is a layer for fusing modalities, not a method of the registry: the released weights belong to
language models of 8 and 34 billion parameters.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import UsageError
from jack_stream.models.layers import Linear, Module, constant, matmul, softmax
from jack_stream.runtime import jittor

__all__ = ["DuplexAttention", "DuplexDecoder", "DuplexDecoderLayer", "RMSNorm", "rotary_tables"]

jt = jittor()
Var = Any

_KEY_SHIFT = 1e-6
_TINY = 1e-12
_NEVER = -1e30


def rotary_tables(
    length: int, head_width: int, theta: float = 10_000.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosine and sine of the rotary position embedding (Su et al. 2021), Llama's layout.

    Returns:
        Two float32 arrays [1, length, head_width]; both halves of the last axis are equal.
    """
    frequencies = theta ** -(np.arange(0, head_width, 2) / head_width)
    angles = np.arange(length)[:, None] * np.tile(frequencies, 2)
    return np.cos(angles)[None].astype(np.float32), np.sin(angles)[None].astype(np.float32)


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        self.is_train = True
        self.eps = eps
        self.weight = jt.ones((width,))

    def execute(self, x: Var) -> Var:
        """[..., width] -> the same shape."""
        return x / jt.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.weight


class DuplexAttention(Module):
    """Self-attention over a sequence of text and visual tokens, aligned before it is attended.

    Args:
        width: of the tokens.
        heads: of the queries.
        kv_heads: of keys and values; divides ``heads``.
        head_width: of a head.
        theta: base of the rotary positions.
        variant: ``released``: visual keys alone are aligned, by the text's keys and values, and
            masked entries are left out. ``paper``: the keys of both modalities are aligned
            by the Gram matrix of the other's keys (5)-(6), and masked entries take part in the
            softmax with a score that falls with their position (7)-(10).
        beta: the step of that score; the paper names it without a value.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int,
        head_width: int,
        *,
        theta: float = 10_000.0,
        variant: Literal["released", "paper"] = "released",
        beta: float = 1.0,
    ) -> None:
        if heads % kv_heads or variant not in ("released", "paper"):
            raise UsageError(
                f"duplex attention: {heads} heads on {kv_heads} key heads, variant {variant!r}"
            )
        self.is_train = True
        self._heads, self._kv_heads, self._head_width = heads, kv_heads, head_width
        self._theta, self._variant, self._beta = theta, variant, beta
        self.q_proj = Linear(width, heads * head_width, bias=False)
        self.k_proj = Linear(width, kv_heads * head_width, bias=False)
        self.v_proj = Linear(width, kv_heads * head_width, bias=False)
        self.o_proj = Linear(heads * head_width, width, bias=False)
        self.ratio_v = jt.zeros((1, 1, head_width))
        self.ratio_t = jt.zeros((1, 1, head_width))
        self.pnorm = RMSNorm(head_width)  # in the released weights, and used by nothing
        self.pfuser_v = Linear(head_width, head_width, bias=False)
        self.pfuser_t = Linear(head_width, head_width, bias=False)

    def execute(
        self,
        x: Var,
        *,
        visual: NDArray[np.bool_] | None = None,
        text: NDArray[np.bool_] | None = None,
        causal: bool = True,
        present: NDArray[np.bool_] | None = None,
    ) -> tuple[Var, Var]:
        """Attend over a sequence.

        Args:
            x: [B, L, width].
            visual: bool [B, L], where a token is visual; None aligns nothing.
            text: bool [B, L], where a token is text.
            causal: a token sees itself and what is before it; otherwise all.
            present: bool [B, L], False where the sequence is padded; None where nowhere.

        Returns:
            [B, L, width], and the attention [B, heads, L, L].
        """
        _, length, _ = x.shape
        cos, sin = (constant(t) for t in rotary_tables(length, self._head_width, self._theta))
        q = _rotate(self._split(self.q_proj(x), self._heads), cos, sin)
        k = _rotate(self._split(self.k_proj(x), self._kv_heads), cos, sin)
        groups = self._heads // self._kv_heads
        k = _repeat_heads(k, groups)
        v = _repeat_heads(self._split(self.v_proj(x), self._kv_heads), groups)
        if visual is not None and text is not None:
            k = self._aligned(k, v, visual, text)
        scores = matmul(q, k.transpose(0, 1, 3, 2)) / math.sqrt(self._head_width)
        attention = self._attention(scores, _allowed(length, causal=causal, present=present))
        mixed = matmul(attention, v).transpose(0, 2, 1, 3)
        return self.o_proj(mixed.reshape(*mixed.shape[:2], -1)), attention

    def _split(self, x: Var, heads: int) -> Var:
        b, length, _ = x.shape
        return x.reshape(b, length, heads, self._head_width).transpose(0, 2, 1, 3)

    def _aligned(self, k: Var, v: Var, visual: NDArray[np.bool_], text: NDArray[np.bool_]) -> Var:
        """Keys [B, H, L, D] with those of flagged tokens replaced."""
        is_visual, is_text = (constant(flag[:, None, :, None]) for flag in (visual, text))
        unit = k + _KEY_SHIFT
        unit = unit / (unit * unit).sum(-1, keepdims=True).sqrt()
        if self._variant == "released":
            by_text = matmul(unit, _row_normed_gram(unit * is_text, v * is_text))
            return _where(is_visual, self.pfuser_v(k + self.ratio_v * by_text), k)
        by_text = matmul(unit, _row_normed_gram(unit * is_text, unit * is_text))
        by_visual = matmul(unit, _row_normed_gram(unit * is_visual, unit * is_visual))
        seen = _where(is_visual, self.pfuser_v(k + self.ratio_v * by_text), k)
        return _where(is_text, self.pfuser_t(k + self.ratio_t * by_visual), seen)

    def _attention(self, scores: Var, allowed: NDArray[np.bool_]) -> Var:
        visible = constant(allowed)
        if self._variant == "released":
            return softmax(_where(visible, scores, jt.full_like(scores, _NEVER)), -1)
        pseudo = constant(-self._beta * np.arange(scores.shape[-1])[None, None, None])
        return softmax(_where(visible, scores, pseudo + 0 * scores), -1) * visible


class _GatedMLP(Module):
    def __init__(self, width: int, hidden: int) -> None:
        self.is_train = True
        self.gate_proj = Linear(width, hidden, bias=False)
        self.up_proj = Linear(width, hidden, bias=False)
        self.down_proj = Linear(hidden, width, bias=False)

    def execute(self, x: Var) -> Var:
        gate = self.gate_proj(x)
        return self.down_proj(gate * jt.sigmoid(gate) * self.up_proj(x))


class DuplexDecoderLayer(Module):
    """x + attention(norm(x)), then x + MLP(norm(x)).

    Args:
        width: of the tokens.
        hidden: of the MLP.
        attention: the attention.
        eps: of the norms.
    """

    def __init__(
        self, width: int, hidden: int, attention: DuplexAttention, eps: float = 1e-6
    ) -> None:
        self.is_train = True
        self.self_attn = attention
        self.mlp = _GatedMLP(width, hidden)
        self.input_layernorm = RMSNorm(width, eps)
        self.post_attention_layernorm = RMSNorm(width, eps)

    def execute(self, x: Var, **masks: Any) -> Var:
        """[B, L, width] -> the same shape; ``masks`` as in ``DuplexAttention.execute``."""
        x = x + self.self_attn(self.input_layernorm(x), **masks)[0]
        return x + self.mlp(self.post_attention_layernorm(x))


class DuplexDecoder(Module):
    """A stack of decoder layers and a last norm; parameters ``layers`` and ``norm``."""

    def __init__(self, layers: list[DuplexDecoderLayer], width: int, eps: float = 1e-6) -> None:
        self.is_train = True
        self.layers = jt.nn.Sequential(*layers)
        self.norm = RMSNorm(width, eps)

    def execute(self, x: Var, **masks: Any) -> Var:
        """Embedded tokens [B, L, width] -> [B, L, width]."""
        for layer in self.layers:
            x = layer(x, **masks)
        return self.norm(x)


def _rotate(x: Var, cos: Var, sin: Var) -> Var:
    half = x.shape[-1] // 2
    turned = jt.concat([-x[..., half:], x[..., :half]], -1)
    return x * cos.unsqueeze(1) + turned * sin.unsqueeze(1)


def _repeat_heads(x: Var, times: int) -> Var:
    b, heads, length, width = x.shape
    wide = x.unsqueeze(2).expand((b, heads, times, length, width))
    return wide.reshape(b, heads * times, length, width)


def _row_normed_gram(a: Var, b: Var) -> Var:
    """a^T b [B, H, D, D], each row divided by its norm; zero rows (no such tokens) stay zero."""
    gram = matmul(a.transpose(0, 1, 3, 2), b)
    return gram / jt.maximum((gram * gram).sum(-1, keepdims=True), _TINY).sqrt()


def _where(mask: Var, yes: Var, no: Var) -> Var:
    return mask * yes + (1 - mask) * no


def _allowed(length: int, *, causal: bool, present: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Bool [B or 1, 1, L, L]: which key a query may see."""
    allowed = np.ones((length, length), bool)[None, None]
    if causal:
        allowed = np.tril(allowed)
    return allowed if present is None else allowed & present[:, None, None, :]
