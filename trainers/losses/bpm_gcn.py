"""The loss of BPM-GCN: both streams' classification and the affective features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.runtime import jittor
from trainers.losses.class_weights import weighted_mean
from trainers.losses.cross_entropy import cross_entropy

__all__ = ["bpm_gcn_loss"]

jt = jittor()
Var = Any


def bpm_gcn_loss(
    outputs: Mapping[str, Var],
    labels: Var,
    affective: Var,
    *,
    multi_label: bool = False,
    weights: npt.NDArray[np.float32] | None = None,
) -> dict[str, Var]:
    """``L = CE(posture) + CE(movement) + MSE(affective)``, equal weights (paper, (1)-(7)).

    Args:
        outputs: of `BPMGCN`: ``posture_logits``, ``movement_logits`` and ``affective``.
        labels: class indices ``int32[N]``, or a teacher's distributions ``float32[N, C]``, or
            with ``multi_label`` a float ``[N, C]`` of 0 and 1.
        affective: the hand-crafted features ``[N, 31 * frames]``.
        multi_label: the binary cross entropy of every class after a sigmoid (ELMD) in place of the
            cross entropy.
        weights: what samples of each class count, ``float32[C]``; not with ``multi_label``.

    Returns:
        ``posture``, ``movement``, ``affective`` and their sum ``total``, each a scalar Var.
    """

    def classification(logits: Var) -> Var:
        if multi_label:
            return _binary_cross_entropy(logits, labels).mean()
        return weighted_mean(cross_entropy(logits, labels), labels, weights)

    error = outputs["affective"] - affective
    losses = {
        "posture": classification(outputs["posture_logits"]),
        "movement": classification(outputs["movement_logits"]),
        "affective": (error * error).mean(),
    }
    return {**losses, "total": losses["posture"] + losses["movement"] + losses["affective"]}


def _binary_cross_entropy(logits: Var, targets: Var) -> Var:
    """Of sigmoids ``[N, C]``, element by element; stable for large logits."""
    log_both = jt.log(1 + jt.exp(-jt.abs(logits)))
    return jt.maximum(logits, 0.0) - logits * targets + log_both
