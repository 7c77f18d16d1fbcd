"""MART's temporal affective complementary learning: words look at what is seen and heard with them.

Zhang et al., CVPR 2024, (4)-(5), in the released form: cross attention from the words of each
segment to its visual and its sound tokens, and a contrast between the two results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from jack_stream.models.attention import MultiHeadAttention
from jack_stream.models.layers import Conv1d, Linear, Module, matmul
from jack_stream.models.transformer import LayerNorm, gelu
from jack_stream.runtime import jittor

__all__ = ["ComplementaryLearning", "Complements", "PredictiveContrast"]

jt = jittor()
Var = Any

_HEADS = 8
_EPS = 1e-5


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

    def execute(self, x: Var, y: Var) -> Var:
        """The mean over all steps of ``cos(x_t, p_t) - log sum_u exp cos(x_t, p_u)``, a scalar.

        All steps of the batch are contrasted with one another. The release adds this to the loss,
        although (5) of the paper is its negative.

        Args:
            x: [N, T, features].
            y: [N, T, source].
        """
        a, p = (_unit(z.reshape(-1, z.shape[-1])) for z in (x, self.predict(y)))
        cosines = matmul(a, p.transpose(1, 0))
        own = (a * p).sum(1)
        return (own - cosines.exp().sum(1).log()).mean()


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
    """

    contrast: Var
    visual_attention: Var
    audio_attention: Var
    logits_visual: Var
    logits_audio: Var


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

    def execute(self, visual: Var, audio: Var, words: Var, segments: int) -> Complements:
        """Let words attend, project, contrast and classify.

        Args:
            visual: [B * segments, V, width], the segments of a video side by side.
            audio: [B * segments, A, width].
            words: [B * segments, W, width].
            segments: of each video.
        """
        queries, seen, heard = self.l_norm(words), self.v_norm(visual), self.a_norm(audio)
        saw, visual_attention = self.v2l_attn(queries, seen, seen)
        heard_words, audio_attention = self.a2l_attn(queries, heard, heard)
        saw, heard_words = self.v_proj(saw), self.a_proj(heard_words)
        contrast = self.v2a_contrast(saw, heard_words) + self.a2v_contrast(heard_words, saw)
        return Complements(
            self._sign * contrast,
            _mean_over_heads(visual_attention),
            _mean_over_heads(audio_attention),
            self.v_fc(_mean_of_videos(saw, segments)),
            self.a_fc(_mean_of_videos(heard_words, segments)),
        )


def _unit(x: Var) -> Var:
    return x / (x * x).sum(-1, keepdims=True).sqrt()


def _mean_over_heads(attention: Var) -> Var:
    return attention.reshape(-1, _HEADS, *attention.shape[1:]).mean(1)


def _mean_of_videos(words: Var, segments: int) -> Var:
    rows, length, width = words.shape
    return words.reshape(rows // segments, segments * length, width).mean(1)
