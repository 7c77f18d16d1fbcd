"""The loss of BPM-GCN: both streams' classification and the affective features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jack_stream.runtime import jittor

__all__ = ["bpm_gcn_loss"]

jt = jittor()
Var = Any


def bpm_gcn_loss(
    outputs: Mapping[str, Var], labels: Var, affective: Var, *, multi_label: bool = False
) -> dict[str, Var]:
    """``L = CE(posture) + CE(movement) + MSE(affective)``, equal weights (paper, (1)-(7)).

    Args:
        outputs: of `BPMGCN`: ``posture_logits``, ``movement_logits`` and ``affective``.
        labels: class indices ``int32[N]``, or with ``multi_label`` a float ``[N, C]`` of 0 and 1.
        affective: the hand-crafted features ``[N, 31 * frames]``.
        multi_label: the binary cross entropy of every class after a sigmoid (ELMD) in place of the
            cross entropy.

    Returns:
        ``posture``, ``movement``, ``affective`` and their sum ``total``, each a scalar Var.
    """
    classification = _binary_cross_entropy if multi_label else _cross_entropy
    error = outputs["affective"] - affective
    losses = {
        "posture": classification(outputs["posture_logits"], labels),
        "movement": classification(outputs["movement_logits"], labels),
        "affective": (error * error).mean(),
    }
    return {**losses, "total": losses["posture"] + losses["movement"] + losses["affective"]}


def _cross_entropy(logits: Var, labels: Var) -> Var:
    """Softmax cross entropy of ``[N, C]`` and indices ``[N]``, the mean over the samples."""
    shifted = logits - logits.max(1, keepdims=True)
    log_normaliser = shifted.exp().sum(1).log()
    chosen = (shifted * _one_hot(labels, logits.shape[1])).sum(1)
    return (log_normaliser - chosen).mean()


def _binary_cross_entropy(logits: Var, targets: Var) -> Var:
    """Of sigmoids ``[N, C]``, the mean over samples and classes; stable for large logits."""
    log_both = jt.log(1 + jt.exp(-jt.abs(logits)))
    return (jt.maximum(logits, 0.0) - logits * targets + log_both).mean()


def _one_hot(labels: Var, n_classes: int) -> Var:
    return (labels.unsqueeze(1) == jt.arange(n_classes).unsqueeze(0)).float32()
