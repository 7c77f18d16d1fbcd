"""Polarity-consistent cross entropy (Zhao et al., AAAI 2020).

    L = mean_i (1 + penalty * [polarity(argmax logits_i) != polarity(label_i)]) * CE_i

A joyful video that is taken for a sad one costs more than one that is taken for a surprising one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.models.layers import argmax
from jack_stream.runtime import jittor
from trainers.losses.class_weights import weighted_mean
from trainers.losses.cross_entropy import cross_entropy

__all__ = ["pcce", "polarity"]

jt = jittor()
Var = Any

_POSITIVE = frozenset({"anticipation", "joy", "surprise", "trust"})
_NEGATIVE = frozenset({"anger", "disgust", "fear", "sadness"})


def polarity(labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """1 for the positive and 0 for the negative of Plutchik's eight emotions; float32 [C].

    Raises:
        UsageError: a label is none of the eight.
    """
    if unknown := [label for label in labels if label not in _POSITIVE | _NEGATIVE]:
        raise UsageError(
            f"the polarity of {unknown[0]!r} is not known",
            hint=f"positive: {', '.join(sorted(_POSITIVE))};"
            f" negative: {', '.join(sorted(_NEGATIVE))}",
        )
    return np.array([label in _POSITIVE for label in labels], np.float32)


def pcce(
    logits: Var,
    labels: Var,
    polarities: npt.NDArray[np.float32],
    *,
    penalty: float = 0.5,
    weights: npt.NDArray[np.float32] | None = None,
) -> Var:
    """The loss of a batch.

    Args:
        logits: float32 [B, C].
        labels: class indices, int32 [B].
        polarities: of the classes, float32 [C], from ``polarity``.
        penalty: added weight of a sample whose predicted class has the wrong polarity.
        weights: what samples of each class count, float32 [C]; None is the paper's.

    Returns:
        A scalar. The weight is a constant to the gradient.
    """
    of_class = jt.array(polarities).stop_grad()
    wrong = (of_class[argmax(logits, 1)] - of_class[labels]).abs().stop_grad()
    losses = (1.0 + penalty * wrong) * cross_entropy(logits, labels)
    return weighted_mean(losses, labels, weights)
