"""The loss of CTEN: the whole video, its context and its key segments must all be recognised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from trainers.losses.cross_entropy import cross_entropy

__all__ = ["Views", "erasing_loss"]

Var = Any
Views = tuple[Var, Var, Var]
"""Logits [B, C] of the whole video, of its context segments and of its key segments."""


def erasing_loss(
    views: Views,
    labels: Var,
    *,
    criterion: Callable[[Var, Var], Var] | None = None,
    variant: Literal["released", "paper"] = "released",
) -> Var:
    """(12) of the paper: the sum over the three views; the release divides it by three.

    Args:
        views: see ``Views``; jack_stream.features.erasing says how the segments are chosen.
        labels: class indices, int32 [B].
        criterion: (logits, labels) -> scalar loss; None takes the mean cross entropy.
        variant: whose factor.

    Returns:
        A scalar.
    """
    each = criterion or _mean_cross_entropy
    whole, context, key = (each(logits, labels) for logits in views)
    total = whole + context + key
    return total / 3.0 if variant == "released" else total


def _mean_cross_entropy(logits: Var, labels: Var) -> Var:
    return cross_entropy(logits, labels).mean()
