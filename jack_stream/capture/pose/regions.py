"""Where in the picture to look for people who are not followed yet: where something moves."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.pose.landmarks import Box
from jack_stream.clock import NS_PER_S

__all__ = ["Motion", "body_below"]

_WIDTH = 160
_LEVELS = 12  # camera noise and video codecs' pulsing stay below this after blurring
_LOOK_BACK_S = 0.4
_MIN_AREA = 0.002  # of the picture: a head that comes in


class Motion:
    """Which parts of the picture differ from what they were 0.4 s before.

    Works on a small, blurred grey picture: it asks where something moves, not what.
    """

    def __init__(self) -> None:
        self._past: deque[tuple[int, NDArray[np.uint8]]] = deque()
        self._changed = np.zeros((1, 1), np.uint8)
        self._scale = 1.0

    def update(self, image: NDArray[np.uint8], at_ns: int) -> None:
        """Take the next frame, RGB uint8 ``[H, W, 3]``, captured at ``at_ns``."""
        height, width = image.shape[:2]
        self._scale = width / _WIDTH
        small = cv2.resize(
            image, (_WIDTH, max(round(height / self._scale), 1)), interpolation=cv2.INTER_AREA
        )
        grey = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (5, 5), 0)
        if self._past and self._past[0][1].shape != grey.shape:
            self._past.clear()
        self._past.append((at_ns, grey))
        while len(self._past) > 2 and at_ns - self._past[1][0] >= _LOOK_BACK_S * NS_PER_S:
            self._past.popleft()
        difference = cv2.absdiff(grey, self._past[0][1])
        self._changed = np.asarray(difference > _LEVELS, np.uint8)

    def share(self, box: Box) -> float:
        """The part of the box's pixels that changed, 0 to 1."""
        inside = self._changed[self._small(box).slices(*self._changed.shape)]
        return float(inside.mean()) if inside.size else 0.0

    def boxes(self) -> list[Box]:
        """Boxes in pixels around what moved, the largest first, grown by what a body needs."""
        joined = cv2.dilate(self._changed, np.ones((9, 5), np.uint8))
        count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
        found = []
        for left, top, width, height, area in stats[1:count]:
            if area >= _MIN_AREA * joined.size:
                box = Box(left, top, left + width, top + height)
                found.append(Box(*(float(edge) * self._scale for edge in box)))
        return [box.grown(0.4) for box in sorted(found, key=lambda box: -box.area)]

    def _small(self, box: Box) -> Box:
        return Box(*(edge / self._scale for edge in box))


def body_below(face: Box) -> Box:
    """Where the body of a face is: eight heads tall, wide enough for both arms stretched out."""
    middle = (face.left + face.right) / 2
    reach = 3.5 * face.width
    return Box(middle - reach, face.top - face.height, middle + reach, face.top + 8.5 * face.height)
