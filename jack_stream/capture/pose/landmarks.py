"""One body's landmarks as MediaPipe Pose gives them, and boxes around them.

The 33 landmarks and their order are those of BlazePose (Bazarevsky et al. 2020, "BlazePose:
on-device real-time body pose tracking", Fig. 2): 0-10 head, 11-22 arms, 23-32 legs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["HEAD", "HIPS", "SEGMENTS", "SHOULDERS", "Box", "Landmarks"]

HEAD = slice(0, 11)
SHOULDERS = (11, 12)
HIPS = (23, 24)
SEGMENTS = ((11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28))
"""Upper arms, forearms, thighs and shanks."""


class Box(NamedTuple):
    """A rectangle in pixels; the right and bottom edges are outside."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return max(self.right - self.left, 0.0)

    @property
    def height(self) -> float:
        """Height in pixels."""
        return max(self.bottom - self.top, 0.0)

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height

    def grown(self, fraction: float) -> Box:
        """The box with ``fraction`` of its width and height added on every side."""
        dx, dy = self.width * fraction, self.height * fraction
        return Box(self.left - dx, self.top - dy, self.right + dx, self.bottom + dy)

    def shared(self, other: Box) -> float:
        """The area in which both boxes lie, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)

    def slices(self, height: int, width: int) -> tuple[slice, slice]:
        """The rows and columns of a picture of that size which lie inside the box."""
        top, bottom = (int(np.clip(round(v), 0, height)) for v in (self.top, self.bottom))
        left, right = (int(np.clip(round(v), 0, width)) for v in (self.left, self.right))
        return slice(top, bottom), slice(left, right)


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """What one look at one body gave.

    Attributes:
        keypoints: float32 ``[33, 4]``: x and y in 0..1 of the picture (outside of it beyond), z,
            visibility. A landmark outside the picture has visibility 0, whatever the detector
            guessed: nobody has seen it.
        world: float32 ``[33, 4]``: metres from the middle of the hips, y down; visibility as above.
    """

    keypoints: NDArray[np.float32]
    world: NDArray[np.float32]

    def seen(self, min_visibility: float) -> NDArray[np.bool_]:
        """Which of the landmarks were seen, bool ``[33]``."""
        return np.asarray(self.keypoints[:, 3] >= min_visibility)

    def pixels(self, width: int, height: int) -> NDArray[np.float32]:
        """The landmarks in pixels, float32 ``[33, 2]``."""
        return self.keypoints[:, :2] * np.array([width, height], np.float32)

    def box(self, width: int, height: int, min_visibility: float) -> Box:
        """The box in pixels around the landmarks that were seen; empty if none was."""
        points = self.pixels(width, height)[self.seen(min_visibility)]
        if not len(points):
            return Box(0.0, 0.0, 0.0, 0.0)
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return Box(float(left), float(top), float(right), float(bottom))
