"""Accuracy, unweighted average recall, confusion matrix, and how to trust a probability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "abstain_threshold",
    "accuracy",
    "average_recall",
    "confusion_matrix",
    "fit_temperature",
    "per_clip",
    "recalls",
    "softmax",
    "weighted_f1",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def softmax(logits: npt.ArrayLike) -> FloatArray:
    """Probabilities of logits ``[N, C]``."""
    values = np.asarray(logits, np.float64)
    shifted = np.exp(values - values.max(-1, keepdims=True))
    probabilities: FloatArray = shifted / shifted.sum(-1, keepdims=True)
    return probabilities


def confusion_matrix(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> IntArray:
    """Counts ``int64[C, C]``: rows are the true classes, columns the predicted ones."""
    pairs = np.asarray(truth, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def accuracy(matrix: IntArray) -> float:
    """The share of all samples that is right; NaN without any."""
    total = matrix.sum()
    return float(np.trace(matrix) / total) if total else float("nan")


def recalls(matrix: IntArray) -> FloatArray:
    """The share of each class that is right; NaN for a class without samples."""
    counts = matrix.sum(1)
    shares: FloatArray = np.where(counts > 0, np.diag(matrix) / np.maximum(counts, 1), np.nan)
    return shares


def average_recall(matrix: IntArray) -> float:
    """Unweighted average recall over the classes that have samples; chance is 1 / classes."""
    of_class = recalls(matrix)
    present = of_class[np.isfinite(of_class)]
    return float(present.mean()) if len(present) else float("nan")


def weighted_f1(matrix: IntArray) -> float:
    """The mean of the classes' F1, each counting as often as it is true; NaN without samples.

    A class's F1 is ``2 hits / (true + predicted)``.
    """
    true, predicted = matrix.sum(1), matrix.sum(0)
    of_class = 2 * np.diag(matrix) / np.maximum(true + predicted, 1)
    return float((of_class * true).sum() / true.sum()) if true.sum() else float("nan")


def per_clip(
    probabilities: FloatArray, clips: npt.NDArray[np.str_]
) -> tuple[npt.NDArray[np.str_], FloatArray]:
    """The mean over each clip's windows: names in order, and ``[clips, C]``."""
    names, at = np.unique(clips, return_inverse=True)
    total = np.zeros((len(names), probabilities.shape[1]))
    np.add.at(total, at, probabilities)
    return names, total / np.bincount(at)[:, np.newaxis]


def fit_temperature(logits: FloatArray, truth: IntArray, weights: FloatArray) -> float:
    """The temperature under which the truth is most likely (Guo et al., ICML 2017).

    Args:
        logits: ``[N, C]`` of samples that were not trained on.
        truth: classes ``[N]``.
        weights: of the samples ``[N]``; such that long clips don't count more than short ones.
    """
    candidates = np.exp(np.linspace(np.log(0.2), np.log(10.0), 400))
    likelihoods = [
        (weights * np.log(softmax(logits / t)[np.arange(len(truth)), truth] + 1e-12)).sum()
        for t in candidates
    ]
    return float(candidates[int(np.argmax(likelihoods))])


def abstain_threshold(
    probabilities: FloatArray, truth: IntArray, weights: FloatArray, *, least_kept: float = 0.5
) -> float:
    """The confidence below which nothing is announced: where those kept are right most often.

    Args:
        probabilities: calibrated, ``[N, C]``.
        truth: classes ``[N]``.
        weights: of the samples ``[N]``.
        least_kept: the share that must still be announced.

    Returns:
        A threshold in 0..1, in hundredths; 0 where abstaining does not help.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    best, chosen = -1.0, 0.0
    for threshold in np.arange(0, 100) / 100:
        kept = weights * (confidence >= threshold)
        if kept.sum() < least_kept * weights.sum():
            break
        share = (kept * right).sum() / kept.sum()
        if share > best + 1e-9:
            best, chosen = float(share), float(threshold)
    return chosen
