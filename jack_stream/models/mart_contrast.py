"""MART's temporal affective complementary learning: words look at what is seen and heard with them.

Zhang et al., CVPR 2024, (4)-(5), in the released form: cross attention from the words of each
segment to its visual and its sound tokens, and a contrast between the two results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jack_stream.models.attention import MultiHeadAttention
from jack_stream.models.layers import Conv1d, Linear, Module, constant, matmul
from jack_stream.models.transformer import LayerNorm, gelu
from jack_stream.runtime import jittor

__all__ = [
    "ComplementaryLearning",
    "Complements",
    "PredictiveContrast",
    "Present",
    "mean_of_words",
]

jt = jittor()
Var = Any

Present = NDArray[np.float32] | None
"""Float [N, W], 1 where a text has a word and 0 where it is padded; None: nothing is padded."""

_HEADS = 8
_EPS = 1e-5
_TINY = 1e-12  # the squared length of a vector of zeros, which ReLU makes


class PredictiveContrast(Module):
    """How well one sequence is predicted from another (the released ``CPC``).

    Args:
        features: of the sequence that is predicted.
        source: of the sequence that it is predicted from.
    """

    def __init__(self, features: int, source: int) -> None:
        self.is_train = True
        widths = [(source, source)] * 3 + [(source, features)]
        layers = [m for c, o in widths for m in (Conv1d(c, o, 3, padding=1), jt.nn.ReLU())]
        self.net = jt.nn.Sequential(*layers)

    def predict(self, y: Var) -> Var:
        """[N, T, source] -> [N, T, features]."""
        return self.net(y.transpose(0, 2, 1)).transpose(0, 2, 1)

    def execute(self, x: Var, y: Var, present: Present = None) -> Var:
        """The mean over all steps of ``cos(x_t, p_t) - log sum_u exp cos(x_t, p_u)``, a scalar.

        All steps of the batch are contrasted with one another. The release adds this to the loss,
        although (5) of the paper is its negative.

        Args:
            x: [N, T, features].
            y: [N, T, source].
            present: which steps count.
        """
        a, p = (_unit(z.reshape(-1, z.shape[-1])) for z in (x, self.predict(y)))
        cosines = matmul(a, p.transpose(1, 0))
        own = (a * p).sum(1)
        if present is None:
            return (own - cosines.exp().sum(1).log()).mean()
        there = constant(present.reshape(-1))
        scores = own - (cosines.exp() * there).sum(1).log()
        return (scores * there).sum() / float(present.sum())


class _Mlp(Module):
    def __init__(self, width: int, outputs: int) -> None:
        self.is_train = True
        self.fc1, self.fc2 = Linear(width, width), Linear(width, outputs)

    def execute(self, x: Var) -> Var:
        return self.fc2(gelu(self.fc1(x)))


@dataclass(frozen=True)
class Complements:
    """What ``ComplementaryLearning`` gives.

    Attributes:
        contrast: both directions added, a scalar.
        visual_attention: [N, W, V], mean over heads, rows sum to 1.
        audio_attention: [N, W, A].
        logits_visual: [B, n_classes], of what the words saw.
        logits_audio: [B, n_classes], of what they heard.
        visual: [N, W, width], what each word saw.
        audio: [N, W, width], what each word heard.
    """

    contrast: Var
    visual_attention: Var
    audio_attention: Var
    logits_visual: Var
    logits_audio: Var
    visual: Var
    audio: Var


class ComplementaryLearning(Module):
    """The released ``TemporalAffectiveComplementaryLearning`` (``tacl``).

    Args:
        width: of all tokens, a multiple of 8.
        n_classes: of the emotions.
        variant: the sign of the contrast: ``released``, or the negative of it as in the ``paper``.
    """

    def __init__(
        self, width: int, n_classes: int, variant: Literal["released", "paper"] = "released"
    ) -> None:
        self.is_train = True
        self._sign = 1.0 if variant == "released" else -1.0
        self.v2l_attn, self.a2l_attn = (MultiHeadAttention(width, _HEADS) for _ in range(2))
        self.v_norm, self.a_norm, self.l_norm = (LayerNorm(width, _EPS) for _ in range(3))
        self.v_proj, self.a_proj = _Mlp(width, width), _Mlp(width, width)
        self.v2a_contrast, self.a2v_contrast = (PredictiveContrast(width, width) for _ in range(2))
        self.v_fc, self.a_fc = _Mlp(width, n_classes), _Mlp(width, n_classes)

    def execute(
        self, visual: Var, audio: Var, words: Var, segments: int, present: Present = None
    ) -> Complements:
        """Let words attend, project, contrast and classify.

        Args:
            visual: [B * segments, V, width], the segments of a video side by side.
            audio: [B * segments, A, width].
            words: [B * segments, W, width].
            segments: of each video.
            present: which words are there; those of padding count nowhere.
        """
        queries, seen, heard = self.l_norm(words), self.v_norm(visual), self.a_norm(audio)
        saw, visual_attention = self.v2l_attn(queries, seen, seen)
        hear, audio_attention = self.a2l_attn(queries, heard, heard)
        saw, hear = self.v_proj(saw), self.a_proj(hear)
        contrast = self.v2a_contrast(saw, hear, present) + self.a2v_contrast(hear, saw, present)
        return Complements(
            self._sign * contrast,
            _mean_over_heads(visual_attention),
            _mean_over_heads(audio_attention),
            self.v_fc(_mean_of_videos(saw, segments, present)),
            self.a_fc(_mean_of_videos(hear, segments, present)),
            saw,
            hear,
        )


def _unit(x: Var) -> Var:
    return x / ((x * x).sum(-1, keepdims=True) + _TINY).sqrt()


def _mean_over_heads(attention: Var) -> Var:
    return attention.reshape(-1, _HEADS, *attention.shape[1:]).mean(1)


def _mean_of_videos(words: Var, segments: int, present: Present) -> Var:
    return mean_of_words(
        words.reshape(words.shape[0] // segments, -1, words.shape[-1]),
        None if present is None else present.reshape(len(present) // segments, -1),
    )


def mean_of_words(words: Var, present: Present) -> Var:
    """[N, W, ...] -> [N, ...], the mean over the words that are there."""
    if present is None:
        return words.mean(1)
    share = present / present.sum(1, keepdims=True)
    return (words * constant(share.reshape(*share.shape, *[1] * (words.ndim - 2)))).sum(1)
