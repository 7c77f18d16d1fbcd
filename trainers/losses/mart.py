"""The losses of MART's pre-training (Zhang et al., CVPR 2024).

What hides and restores, and the contrast of the release, is in
`jack_stream.models.mart_pretraining`; here are the terms that the paper has and the release lacks:
the contrast (5) with what is pushed away, and the divergence of the temporal distributions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.models.layers import constant, matmul
from jack_stream.runtime import jittor

__all__ = ["complementary_contrast", "temporal_divergence"]

jt = jittor()
Var = Any

_TINY = 1e-12


def complementary_contrast(
    attended: Var, words: Var, other: Var, spoken: npt.NDArray[np.bool_], *, temperature: float
) -> Var:
    """(5): what the words saw is drawn to the words, and away from sound and from other times.

    With unit vectors a of the words' view, l of the words and o of the other modality, for each
    segment t in which something is said::

        -log( e(a_t, l_t) / (e(a_t, l_t) + e(a_t, o_t) + sum_{u != t} e(a_t, l_u)) ),
        e(x, y) = exp(x . y / temperature)

    Args:
        attended: what each segment's words saw (or heard), float32 [S, width].
        words: the words themselves, their mean, float32 [S, width].
        other: what they heard (or saw), float32 [S, width].
        spoken: the segments that have words, bool [S]; the others count nowhere.
        temperature: tau.

    Returns:
        The mean over the segments with words, a scalar; 0 without any.
    """
    if not spoken.any():
        return jt.zeros(1)
    a, texts, away = (_unit(x) / temperature**0.5 for x in (attended, words, other))
    said = constant(spoken)
    to_texts = matmul(a, texts, b_transposed=True) + (said.unsqueeze(0) - 1.0) * 1e4
    scores = jt.concat([to_texts, (a * away).sum(1, keepdims=True)], 1)
    own = (a * texts).sum(1)
    highest = scores.max(1, keepdims=True)
    totals = (scores - highest).exp().sum(1).log() + highest.squeeze(1)
    return ((totals - own) * said).sum() / float(spoken.sum())


def temporal_divergence(whole: Var, hidden: Var) -> Var:
    """How far the emotion over time moves when what matters is hidden: KL(whole || hidden).

    Args:
        whole: temporal scores (3) of the video as it is, float32 [S, C]; a constant.
        hidden: of the video whose tubelets under the mask are hidden, float32 [S, C].

    Returns:
        The mean over the segments of the divergence of their distributions, a scalar.
    """
    target, logs = _log_softmax(whole.stop_grad()), _log_softmax(hidden)
    return (target.exp() * (target - logs)).sum(1).mean()


def _unit(x: Var) -> Var:
    return x / ((x * x).sum(-1, keepdims=True) + _TINY).sqrt()


def _log_softmax(x: Var) -> Var:
    shifted = x - x.max(1, keepdims=True)
    return shifted - shifted.exp().sum(1, keepdims=True).log()
