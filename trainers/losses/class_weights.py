"""Weights by which rare classes count as much as frequent ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.runtime import jittor
from trainers.recipe import ClassWeighting

__all__ = ["class_weights", "weighted_mean"]

jt = jittor()
Var = Any


def class_weights(
    kind: ClassWeighting, counts: Sequence[int] | npt.NDArray[Any]
) -> npt.NDArray[np.float32] | None:
    """What a sample of each class counts.

    Args:
        kind: ``balanced`` is ``N / (C * count)``: every class has the same say.
        counts: training samples (or, of soft targets, their mass) of each class, ``[C]``.

    Returns:
        ``float32[C]``, or None where all count the same.

    Raises:
        UsageError: a class has no sample.
    """
    if kind == "none":
        return None
    mass = np.asarray(counts, np.float64)
    if not (mass > 0).all():
        raise UsageError(
            f"class {int(mass.argmin())} of {len(mass)} has no training sample to weigh",
            hint='Leave loss.class_weights at "none", or add recordings of it.',
        )
    return (mass.sum() / (len(mass) * mass)).astype(np.float32)


def weighted_mean(losses: Var, labels: Var, weights: npt.NDArray[np.float32] | None) -> Var:
    """The mean of a batch's losses, each counting as much as its class.

    Args:
        losses: float32 [B].
        labels: class indices, int32 [B], or distributions, float32 [B, C].
        weights: of the classes, float32 [C]; None is the plain mean.

    Returns:
        A scalar: ``sum(w * loss) / sum(w)``, as PyTorch's weighted cross entropy.
    """
    if weights is None:
        return losses.mean()
    of_class = jt.array(weights).stop_grad()
    of_sample = of_class[labels] if labels.ndim == 1 else (labels * of_class).sum(1)
    return (losses * of_sample).sum() / of_sample.sum()
