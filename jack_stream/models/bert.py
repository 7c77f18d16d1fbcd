"""BERT's encoder (Devlin et al., NAACL 2019): the text branch of MART, built from a configuration.

Parameter names are those of ``transformers.BertModel``. Nothing is downloaded: weights come from a
bundle or a checkpoint that the user has.
"""

from __future__ import annotations

from typing import Any

from jack_stream.errors import UsageError
from jack_stream.models.layers import Linear, Module
from jack_stream.models.transformer import LayerNorm, attend, gelu, project
from jack_stream.runtime import jittor

__all__ = ["Bert"]

jt = jittor()
Var = Any

_EPS = 1e-12


class _Embeddings(Module):
    def __init__(self, vocabulary: int, width: int, positions: int) -> None:
        self.is_train = True
        self.word_embeddings = jt.nn.Embedding(vocabulary, width)
        self.position_embeddings = jt.nn.Embedding(positions, width)
        self.token_type_embeddings = jt.nn.Embedding(2, width)
        self.LayerNorm = LayerNorm(width, _EPS)

    def execute(self, ids: Var) -> Var:
        positions = self.position_embeddings.weight[: ids.shape[1]]
        kind = self.token_type_embeddings.weight[0]
        return self.LayerNorm(self.word_embeddings(ids) + positions.unsqueeze(0) + kind)


class _SelfAttention(Module):
    def __init__(self, width: int) -> None:
        self.is_train = True
        self.query, self.key, self.value = (Linear(width, width) for _ in range(3))


class _Output(Module):
    """A linear layer, the residual, and the norm behind both."""

    def __init__(self, inputs: int, width: int) -> None:
        self.is_train = True
        self.dense = Linear(inputs, width)
        self.LayerNorm = LayerNorm(width, _EPS)

    def execute(self, x: Var, residual: Var) -> Var:
        return self.LayerNorm(project(x, self.dense) + residual)


class _AttentionLayer(Module):
    def __init__(self, width: int) -> None:
        self.is_train = True
        self.self = _SelfAttention(width)
        self.output = _Output(width, width)


class _Intermediate(Module):
    def __init__(self, width: int, hidden: int) -> None:
        self.is_train = True
        self.dense = Linear(width, hidden)


class _Layer(Module):
    def __init__(self, width: int, heads: int) -> None:
        self.is_train = True
        self._heads = heads
        self.attention = _AttentionLayer(width)
        self.intermediate = _Intermediate(width, 4 * width)
        self.output = _Output(4 * width, width)

    def execute(self, x: Var, bias: Var | None) -> Var:
        b, n, width = x.shape
        inner = self.attention.self
        q, k, v = (
            project(x, layer).reshape(b, n, self._heads, -1).transpose(0, 2, 1, 3)
            for layer in (inner.query, inner.key, inner.value)
        )
        mixed = attend(q, k, v, bias)[0].transpose(0, 2, 1, 3).reshape(b, n, width)
        x = self.attention.output(mixed, x)
        return self.output(gelu(project(x, self.intermediate.dense)), x)


class _Encoder(Module):
    def __init__(self, width: int, depth: int, heads: int) -> None:
        self.is_train = True
        self.layer = jt.nn.Sequential(*(_Layer(width, heads) for _ in range(depth)))


class _Pooler(Module):
    def __init__(self, width: int) -> None:
        self.is_train = True
        self.dense = Linear(width, width)


class Bert(Module):
    """Token numbers to one vector for each word piece.

    Args:
        vocabulary: number of word pieces.
        width: of the vectors.
        depth: number of layers.
        heads: of the attention; divides the width.
        positions: the longest sequence.
    """

    def __init__(
        self,
        vocabulary: int = 30_522,
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        positions: int = 512,
    ) -> None:
        if width % heads:
            raise UsageError(f"bert: width {width} is no multiple of heads {heads}")
        self.is_train = True
        self._positions = positions
        self.embeddings = _Embeddings(vocabulary, width, positions)
        self.encoder = _Encoder(width, depth, heads)
        self.pooler = _Pooler(width)  # in the authors' weights; MART does not use it

    def execute(self, ids: Var, present: Var | None = None) -> Var:
        """Encode texts.

        Args:
            ids: int [B, W], numbers of word pieces.
            present: float [B, W], 1 where there is a piece and 0 where the text is padded; None
                where nothing is padded.

        Returns:
            [B, W, width].

        Raises:
            UsageError: the texts are longer than the positions.
        """
        if ids.shape[1] > self._positions:
            raise UsageError(f"bert: {ids.shape[1]} word pieces, at most {self._positions}")
        bias = None if present is None else (present[:, None, None, :] - 1.0) * 1e30
        x = self.embeddings(ids)
        for layer in self.encoder.layer:
            x = layer(x, bias)
        return x
