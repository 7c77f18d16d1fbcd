"""Pseudo labels of TSL-Net: segments around labelled points that look like what they are.

Of one labelled segment per stretch, the training makes more: foreground that grows from each point,
and background between them (ACM MM 2022, Section 3.3; conditions as in the released code).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["BACKGROUND_THRESHOLD", "search_seeds"]

FloatArray = npt.NDArray[np.float64]

BACKGROUND_THRESHOLD = 0.95


def search_seeds(
    fused: npt.ArrayLike, points: npt.ArrayLike
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The pseudo labels of one video.

    Args:
        fused: predicted activations ``[T, C + 1]``, the background last (``cas_sigmoid_fuse``).
        points: labelled segments ``[T, C]``: 0.9 and 0.1 in the rows that have a label, else 0.

    Returns:
        foreground ``float32[T, C + 1]``: the labels at the points, the predicted scores at the
        segments grown from them, else 0; background ``float32[T]``: how sure it is, else 0.
    """
    scores = np.asarray(fused, np.float64)
    labelled = np.asarray(points, np.float64)
    at = np.flatnonzero(labelled.max(1) > 0).tolist()
    background = _background(scores[:, -1], at)
    foreground = np.zeros_like(scores)
    foreground[at, :-1] = labelled[at]
    like_background = scores[:, -1] > scores[:, :-1].max(1)
    stops = like_background | (background >= 1) | (labelled.max(1) > 0)
    for point in at:
        for step in (-1, 1):
            segment = point + step
            while 0 <= segment < len(scores) and not stops[segment]:
                foreground[segment] = scores[segment]
                segment += step
    return foreground.astype(np.float32), background.astype(np.float32)


def _background(scores: FloatArray, points: list[int]) -> FloatArray:
    """How sure each segment is background, by the intervals between the points."""
    values = np.zeros(len(scores))
    if not points:
        return values
    left, right = slice(0, points[0]), slice(points[-1] + 1, len(scores))
    # Outside the points, background reaches to the video's ends.
    values[left] = _outer(scores[left])
    values[right] = _outer(scores[right][::-1])[::-1]
    for before, after in pairwise(points):
        between = slice(before + 1, after)
        values[between] = _inner(scores[between])
    return values


def _outer(scores: FloatArray) -> FloatArray:
    """Of an interval at the video's start: everything up to its last clear background."""
    values = np.zeros(len(scores))
    if len(scores) == 0:
        return values
    best = scores.max()
    clear = np.flatnonzero(scores >= BACKGROUND_THRESHOLD)
    # As released: several clear segments count, one only where it is the best one anyway.
    last = clear[-1] if best * len(clear) >= 1 else scores.argmax()
    values[: last + 1] = best
    return values


def _inner(scores: FloatArray) -> FloatArray:
    """Of an interval between two points: from its first to its last clear background."""
    values = np.zeros(len(scores))
    if len(scores) == 0:
        return values
    best = scores.max()
    clear = np.flatnonzero(scores >= BACKGROUND_THRESHOLD)
    if best * len(clear) >= 2:
        values[clear[0] : clear[-1] + 1] = best
    else:
        values[scores.argmax()] = best
    return values
