"""The losses of TSL-Net (ACM MM 2022, Section 3.3), per element as in the authors' code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jack_stream.models.layers import matmul
from jack_stream.runtime import jittor

__all__ = ["TSLWeights", "feature_consistency", "tsl_loss"]

jt = jittor()
Var = Any

_SMALLEST = 1e-37  # above the subnormal numbers, which fast-math takes for zero


@dataclass(frozen=True)
class TSLWeights:
    """Weights of the terms; the defaults are the paper's best.

    Attributes:
        video: of the video's label distribution (lambda 1).
        frame: of the labelled and unlabelled segments together (lambda 2).
        unlabelled: share of the unlabelled segments in that (mu).
        consistency: of the feature consistency.
    """

    video: float = 2.0
    frame: float = 1.0
    unlabelled: float = 0.5
    consistency: float = 1.0


def tsl_loss(
    outputs: Mapping[str, Var],
    points: Var,
    distribution: Var,
    seeds: tuple[Var, Var],
    *,
    weights: TSLWeights | None = None,
    variant: Literal["released", "paper"] = "released",
) -> dict[str, Var]:
    """All terms for videos of one length (the release gives one video at a time).

    Args:
        outputs: of ``TSLNet.supervised``; or with the scalar ``consistency`` in place of the four
            modality features.
        points: labelled segments ``[B, T, C]``: 0.9 and 0.1 in rows that have a label, else 0.
        distribution: share of the labelled segments per class ``[B, C]``.
        seeds: foreground ``[B, T, C + 1]`` and background ``[B, T]`` of ``search_seeds``.
        weights: of the terms.
        variant: see `feature_consistency`.

    Returns:
        Scalars ``consistency``, ``video``, ``frame``, ``background``, ``foreground``, ``total``.
    """
    lambdas = weights or TSLWeights()
    fused = outputs["cas_sigmoid_fuse"]
    foreground, background = seeds
    labels = jt.concat([points, jt.zeros_like(points[:, :, :1])], dim=2)
    strongest = labels.max(2, keepdims=True)
    hard = (foreground > 0.5).float32()
    is_background = jt.concat([jt.zeros_like(points), jt.ones_like(points[:, :, :1])], dim=2)
    certain = background.unsqueeze(2)
    losses = {
        "consistency": outputs["consistency"]
        if "consistency" in outputs
        else feature_consistency(outputs, variant),
        "video": _divergence(distribution, outputs["vid_ldl"]),
        "frame": _weighted(fused, labels, labels, strongest) / _total(strongest),
        "background": _weighted(fused, is_background, is_background, certain) / _total(certain),
        # The seeds' own scores are both target and weight, and decided ones the focal term's.
        "foreground": 0.5
        * _weighted(fused, foreground, hard, foreground)
        / _total(foreground.max(2)),
    }
    unlabelled = losses["background"] + losses["foreground"]
    mixed = (1 - lambdas.unlabelled) * losses["frame"] + lambdas.unlabelled * unlabelled
    total = (
        lambdas.video * losses["video"]
        + lambdas.frame * mixed
        + lambdas.consistency * losses["consistency"]
    )
    return {**losses, "total": total}


def feature_consistency(
    outputs: Mapping[str, Var], variant: Literal["released", "paper"] = "released"
) -> Var:
    """How each modality's features fit those predicted from the fused ones, (1).

    With ``c_ti`` the cosine of a feature at t and a prediction at i, ``released`` is the mean of
    ``c_tt - log sum_i exp c_ti``, which falls when they fit worse; ``paper`` is its intent, the
    mean of ``log sum_{i != t} exp c_ti - c_tt``. Both modalities are added.

    Args:
        outputs: ``sound``, ``visual``, ``sound_back``, ``visual_back``, each ``[B, T, K]``.
        variant: which of the two.
    """
    total = 0.0
    for name in ("sound", "visual"):
        feature, back = _unit(outputs[name]), _unit(outputs[f"{name}_back"])
        cosine = matmul(feature, back, b_transposed=True)
        own = jt.init.eye(cosine.shape[1], "float32").unsqueeze(0)
        fit = (cosine * own).sum(2)
        if variant == "paper":
            total = total + ((cosine.exp() * (1 - own)).sum(2).log() - fit).mean()
        else:
            total = total + (fit - cosine.exp().sum(2).log()).mean()
    return total


def _unit(x: Var) -> Var:
    return x / jt.maximum(jt.sqrt((x * x).sum(2, keepdims=True)), 1e-12)


def _divergence(target: Var, predicted: Var) -> Var:
    """KL divergence, the mean over videos and classes (as released); 0 log 0 is 0."""
    ratio = jt.log(jt.maximum(target, _SMALLEST)) - jt.log(jt.maximum(predicted, _SMALLEST))
    return (target * ratio).mean()


def _weighted(scores: Var, targets: Var, decided: Var, weights: Var) -> Var:
    """Weighted sum of focal binary cross entropies, exponent 2, element by element."""
    focal = (1 - scores) * decided + scores * (1 - decided)
    return (weights * focal * focal * _binary_cross_entropy(scores, targets)).sum()


def _binary_cross_entropy(scores: Var, targets: Var) -> Var:
    """Element by element; logarithms are bounded at -100, as PyTorch's are."""
    yes = jt.maximum(jt.log(jt.maximum(scores, _SMALLEST)), -100.0)
    no = jt.maximum(jt.log(jt.maximum(1 - scores, _SMALLEST)), -100.0)
    return -(targets * yes + (1 - targets) * no)


def _total(weights: Var) -> Var:
    """The sum of the weights; without any there is nothing to divide either."""
    return jt.maximum(weights.sum(), 1e-12)
