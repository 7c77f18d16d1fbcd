"""The loss of BPM-GCN: both streams' classification and the affective features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jack_stream.runtime import jittor
from trainers.losses.cross_entropy import cross_entropy

__all__ = ["bpm_gcn_loss"]

jt = jittor()
Var = Any


def bpm_gcn_loss(
    outputs: Mapping[str, Var], labels: Var, affective: Var, *, multi_label: bool = False
) -> dict[str, Var]:
    """``L = CE(posture) + CE(movement) + MSE(affective)``, equal weights (paper, (1)-(7)).

    Args:
        outputs: of `BPMGCN`: ``posture_logits``, ``movement_logits`` and ``affective``.
        labels: class indices ``int32[N]``, or a teacher's distributions ``float32[N, C]``, or
            with ``multi_label`` a float ``[N, C]`` of 0 and 1.
        affective: the hand-crafted features ``[N, 31 * frames]``.
        multi_label: the binary cross entropy of every class after a sigmoid (ELMD) in place of the
            cross entropy.

    Returns:
        ``posture``, ``movement``, ``affective`` and their sum ``total``, each a scalar Var.
    """
    classification = _binary_cross_entropy if multi_label else cross_entropy
    error = outputs["affective"] - affective
    losses = {
        "posture": classification(outputs["posture_logits"], labels).mean(),
        "movement": classification(outputs["movement_logits"], labels).mean(),
        "affective": (error * error).mean(),
    }
    return {**losses, "total": losses["posture"] + losses["movement"] + losses["affective"]}


def _binary_cross_entropy(logits: Var, targets: Var) -> Var:
    """Of sigmoids ``[N, C]``, element by element; stable for large logits."""
    log_both = jt.log(1 + jt.exp(-jt.abs(logits)))
    return jt.maximum(logits, 0.0) - logits * targets + log_both
