"""Numbers for people that stay the same from frame to frame."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    # One of its dependencies has strings that newer Pythons complain about when they compile it.
    warnings.simplefilter("ignore", SyntaxWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    from norfair import Detection, Tracker
    from norfair.distances import ScalarDistance
    from norfair.tracker import TrackedObject

__all__ = ["Identities", "Sighting"]

_TICKS_PER_S = 30
_HIT_TICKS = 15  # half a second is what a first sighting is good for
_KEEP_TICKS = 45  # 1.5 s without being seen, then the number is given up
_JUMP = 0.2  # of the picture's height, between two sightings of the same person


class Sighting(NamedTuple):
    """Someone seen in a frame.

    Attributes:
        place: float64 ``[1, 2]``, in picture heights.
        follower: what has followed this person since the last frame; it stands for the person.
    """

    place: NDArray[np.float64]
    follower: object


class Identities:
    """Numbers people from 1: norfair's Kalman filter and assignment, its counts in 1/30 s."""

    def __init__(self) -> None:
        self._tracker = Tracker(
            "euclidean",
            distance_threshold=_JUMP,
            hit_counter_max=_KEEP_TICKS,
            initialization_delay=0,
        )
        # Handed over here because the constructor prints advice when it is given a function.
        self._tracker.distance_function = ScalarDistance(_distance)

    def assign(self, sightings: Sequence[Sighting], passed_s: float) -> list[int | None]:
        """The numbers of the people seen now, ``passed_s`` seconds after the last frame.

        None for someone whose number is not certain in this frame.
        """
        detections = [Detection(one.place, data=one.follower) for one in sightings]
        ticks = min(max(round(passed_s * _TICKS_PER_S), 1), _KEEP_TICKS + 1)
        for _ in range(ticks - 1):
            self._tracker.update()
        tracked = self._tracker.update(detections, period=_HIT_TICKS)
        numbers = {id(one.last_detection): int(one.id) for one in tracked}
        return [numbers.get(id(detection)) for detection in detections]


def _distance(seen: Detection, known: TrackedObject) -> float:
    """None for what the same follower has followed; else between the places."""
    if known.last_detection.data is seen.data:
        return 0.0
    return float(np.linalg.norm(seen.points - known.estimate))
