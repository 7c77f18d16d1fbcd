"""From TSL-Net's class activations over time to segments with a sentiment.

After "Temporal Sentiment Localization: Listen and Look in Untrimmed Videos" (ACM MM 2022, Section
3.4) and its released code: runs above many thresholds are proposals, scored by the contrast between
their inside and their margins, and overlapping ones are suppressed per class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "CLASS_THRESHOLDS",
    "FOREGROUND_THRESHOLDS",
    "Segment",
    "present_classes",
    "propose",
    "suppress",
    "upsample",
]

FloatArray = npt.NDArray[np.float64]

CLASS_THRESHOLDS = tuple(0.025 * i for i in range(10))
"""On the class activation, 0 to 0.225."""

FOREGROUND_THRESHOLDS = tuple(0.4 + 0.025 * i for i in range(14))
"""On one minus the background, 0.4 to 0.725."""

UPSAMPLING = 24
MARGIN = 0.03  # of a run's length, on each side
VIDEO_SCORE_WEIGHT = 0.3
FRAMES_PER_STEP = 16  # video frames per row of the activations


@dataclass(frozen=True)
class Segment:
    """A stretch of a video with one class.

    Attributes:
        label: index of the class.
        score: contrast of inside and margins plus a share of the video's score; not a probability.
        start_s: seconds from the start of the video.
        end_s: likewise, exclusive.
    """

    label: int
    score: float
    start_s: float
    end_s: float


def propose(
    vid_score: npt.ArrayLike,
    cas: npt.ArrayLike,
    frame_rate_hz: float,
    *,
    class_thresholds: tuple[float, ...] = CLASS_THRESHOLDS,
    foreground_thresholds: tuple[float, ...] = FOREGROUND_THRESHOLDS,
    overlap: float = 0.5,
) -> list[Segment]:
    """The segments of one video.

    Args:
        vid_score: the video's score per class ``[C]`` in 0..1.
        cas: fused class activations ``[T, C + 1]`` in 0..1, the background last; one row for 16
            frames of the video (``vid_score`` and ``cas_sigmoid_fuse`` of TSL-Net).
        frame_rate_hz: of the video.
        class_thresholds: runs of a class's activation at or above each of them are proposals.
        foreground_thresholds: runs of ``1 - background`` at or above each of them likewise.
        overlap: proposals of a class that overlap a better one by this share are dropped.

    Returns:
        Segments, class by class (`present_classes`), best first within a class.

    Raises:
        ValueError: shapes do not fit together or the frame rate is not positive.
    """
    scores = np.asarray(vid_score, np.float64)
    activations = np.asarray(cas, np.float64)
    fits = scores.ndim == 1 and activations.shape[1:] == (len(scores) + 1,) and len(activations) > 0
    if not fits or frame_rate_hz <= 0:
        raise ValueError(
            "vid_score [C], cas [T, C + 1] and a positive frame rate are needed, not "
            f"{list(scores.shape)}, {list(activations.shape)} and {frame_rate_hz}"
        )
    fine = upsample(activations, UPSAMPLING)
    foreground = 1.0 - fine[:, -1]
    step_s = FRAMES_PER_STEP / (UPSAMPLING * frame_rate_hz)
    segments: list[Segment] = []
    for label in present_classes(scores):
        activation = fine[:, label]
        bonus = VIDEO_SCORE_WEIGHT * float(scores[label])
        found: list[Segment] = []
        for threshold in class_thresholds:
            # As released: what lies below the threshold counts as 0 in the margins as well.
            kept = np.where(activation < threshold, 0.0, activation)
            found += _scored(kept > 0, kept, label, bonus, step_s)
        for threshold in foreground_thresholds:
            above = (foreground >= threshold) & (foreground > 0)
            found += _scored(above, activation, label, bonus, step_s)
        segments += suppress(found, overlap)
    return segments


def present_classes(vid_score: npt.ArrayLike, threshold: float = 0.5) -> list[int]:
    """Classes whose video score ``[C]`` reaches the threshold, or else the best one."""
    scores = np.asarray(vid_score)
    above = np.flatnonzero(scores >= threshold)
    return [int(i) for i in above] if above.size else [int(scores.argmax())]


def upsample(rows: npt.ArrayLike, factor: int) -> FloatArray:
    """Linear interpolation of ``[T, C]`` to ``[T * factor, C]``.

    Row ``i`` becomes row ``i * factor``; after the last row the last slope goes on, so values may
    leave their range there. A single row is repeated.
    """
    values = np.asarray(rows, np.float64)
    if len(values) == 1:
        return np.repeat(values, factor, axis=0)
    at = np.arange(len(values) * factor) / factor
    left = np.minimum(at.astype(np.int64), len(values) - 2)
    share = (at - left)[:, np.newaxis]
    fine: FloatArray = values[left] + share * (values[left + 1] - values[left])
    return fine


def suppress(segments: list[Segment], overlap: float) -> list[Segment]:
    """Non-maximum suppression: best first, without those that overlap a better one too much.

    As released, lengths count one second more than they are (the pixel convention of boxes), so
    that short segments close to each other suppress one another.
    """
    if not segments:
        return []
    start = np.array([s.start_s for s in segments])
    end = np.array([s.end_s for s in segments])
    length = end - start + 1
    order = np.argsort([-s.score for s in segments], kind="stable")
    kept: list[Segment] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(segments[best])
        shared = np.minimum(end[best], end[rest]) - np.maximum(start[best], start[rest]) + 1
        shared = np.maximum(shared, 0)
        order = rest[shared / (length[best] + length[rest] - shared) < overlap]
    return kept


def _scored(
    above: npt.NDArray[np.bool_], values: FloatArray, label: int, bonus: float, step_s: float
) -> list[Segment]:
    """The runs where ``above`` holds, each with its outer-inner contrast plus ``bonus``."""
    edges = np.flatnonzero(np.diff(above, prepend=False, append=False))
    segments = []
    for first, stop in edges.reshape(-1, 2).tolist():
        length = stop - first
        before = max(0, int(first - MARGIN * length))
        after = min(len(values) - 1, int(stop - 1 + MARGIN * length))
        outside = np.concatenate([values[before:first], values[stop : after + 1]])
        contrast = values[first:stop].mean() - (outside.mean() if outside.size else 0.0)
        score = float(contrast + bonus)
        segments.append(Segment(label, score, first * step_s, stop * step_s))
    return segments
