"""Whether what the pose network reports can be a person at all.

The network answers for a table leg as it does for a body: a whole skeleton with high visibility.
What tells them apart is size, proportions and, over time, life (see `tracker`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.pose.landmarks import HEAD, HIPS, SEGMENTS, SHOULDERS, Landmarks

__all__ = ["Thresholds", "certainty", "implausible", "trunk_length"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a person must be like. The defaults are those that docs/pose.md gives figures for.

    Attributes:
        min_visibility: from this on a landmark counts as seen, 0 to 1.
        min_landmarks: how many of the 33 must be seen.
        min_extent: least extent of the landmarks seen, as a part of the picture's height.
        min_trunk: least length of the trunk, likewise. Below it the network sees a few dozen pixels
            and makes up the rest (the table leg: 0.03).
        max_segment: longest arm or leg segment, in trunk lengths (adults: 0.6 to 0.9).
        head_distance: least and greatest distance of the head from the middle of the shoulders, in
            trunk lengths (adults upright: 0.4 to 0.6; foreshortening widens it).
        min_life: the part of a person's pixels that must have changed lately.
        life_s: for how long in all, in seconds, before someone new counts.
        persistence_s: how long someone must have been plausible to count, in seconds.
        patience_s: how long someone may be missing before being given up, in seconds.
    """

    min_visibility: float = 0.5
    min_landmarks: int = 8
    min_extent: float = 0.14
    min_trunk: float = 0.06
    max_segment: float = 1.8
    head_distance: tuple[float, float] = (0.1, 1.4)
    min_life: float = 0.02
    life_s: float = 0.2
    persistence_s: float = 0.2
    patience_s: float = 0.5


def implausible(
    landmarks: Landmarks, width: int, height: int, thresholds: Thresholds
) -> str | None:
    """Why these landmarks can't be a person in a picture of that size, or None if they can.

    Returns:
        ``faint`` (too little was seen), ``small``, ``lying`` or ``proportions``.
    """
    seen = landmarks.seen(thresholds.min_visibility)
    head, shoulders = int(seen[HEAD].sum()), bool(seen[list(SHOULDERS)].all())
    if seen.sum() < thresholds.min_landmarks or not (shoulders or head > 5):
        return "faint"
    box = landmarks.box(width, height, thresholds.min_visibility)
    if max(box.width, box.height) < thresholds.min_extent * height:
        return "small"
    if not shoulders:
        return None
    if _lying(landmarks, width, height, seen):
        return "lying"
    trunk = trunk_length(landmarks, width, height)
    if trunk < thresholds.min_trunk * height:
        return "small"
    points = landmarks.pixels(width, height)
    return None if _proportioned(points, seen, trunk, thresholds) else "proportions"


def trunk_length(landmarks: Landmarks, width: int, height: int) -> float:
    """The trunk's length in pixels, by which limbs and distances are measured.

    A person seen from above or bowing has a short trunk but wide shoulders, so it is the greater of
    the distance from shoulders to hips and 1.2 times the shoulders' width.
    """
    points = landmarks.pixels(width, height)
    shoulders, hips = points[list(SHOULDERS)], points[list(HIPS)]
    across = float(np.linalg.norm(shoulders[0] - shoulders[1]))
    if not (landmarks.keypoints[list(HIPS), 3] > 0).all():
        return across * 1.2
    down = float(np.linalg.norm(shoulders.mean(axis=0) - hips.mean(axis=0)))
    return max(down, across * 1.2)


def _lying(landmarks: Landmarks, width: int, height: int, seen: NDArray[np.bool_]) -> bool:
    """Whether the trunk is less than 30 degrees off the horizontal, or upside down.

    The network sees people in lettering and in clouds, mostly lying ones.
    """
    if not seen[list(HIPS)].all():
        return False
    points = landmarks.pixels(width, height)
    across, up = points[list(HIPS)].mean(axis=0) - points[list(SHOULDERS)].mean(axis=0)
    return bool(up < np.tan(np.radians(30)) * abs(across))


def _proportioned(
    points: NDArray[np.float32],
    seen: NDArray[np.bool_],
    trunk: float,
    thresholds: Thresholds,
) -> bool:
    """Whether head and limbs fit the trunk."""
    for a, b in SEGMENTS:
        length = float(np.linalg.norm(points[a] - points[b]))
        if seen[a] and seen[b] and length > thresholds.max_segment * trunk:
            return False
    if not seen[HEAD].any():
        return True
    neck = points[list(SHOULDERS)].mean(axis=0)
    distance = float(np.linalg.norm(points[HEAD][seen[HEAD]].mean(axis=0) - neck))
    least, greatest = thresholds.head_distance
    return least * trunk <= distance <= greatest * trunk


def certainty(landmarks: Landmarks) -> float:
    """How well the core of the body was seen, 0 to 1.

    The mean visibility of head, shoulders and, where they are inside the picture, hips.
    """
    visibility = landmarks.keypoints[:, 3]
    hips = visibility[list(HIPS)]
    parts = [visibility[HEAD], visibility[list(SHOULDERS)], hips[hips > 0]]
    return float(np.clip(np.concatenate(parts).mean(), 0.0, 1.0))
