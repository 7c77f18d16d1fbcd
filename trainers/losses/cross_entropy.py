"""Cross entropy per sample, which the losses of VAANet and CTEN weigh and average."""

from __future__ import annotations

from typing import Any

from jack_stream.runtime import jittor

__all__ = ["cross_entropy"]

jt = jittor()
Var = Any


def cross_entropy(logits: Var, labels: Var) -> Var:
    """-log softmax(logits)[label], sample by sample.

    Args:
        logits: float32 [B, C].
        labels: class indices, int32 [B]; or float32 [B, C], a distribution for each sample (a
            teacher's), of which the mean is taken.

    Returns:
        float32 [B]. (Jittor's own returns the mean, which can no longer be weighed per sample.)
    """
    shifted = logits - logits.max(1, keepdims=True)
    if labels.ndim == 2:
        share = labels
    else:
        share = (labels.unsqueeze(1) == jt.arange(logits.shape[1]).unsqueeze(0)).float32()
    return shifted.exp().sum(1).log() - (shifted * share).sum(1)
