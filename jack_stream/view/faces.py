"""Faces in pictures, made unrecognisable."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.pose.detector import FaceDetector
from jack_stream.closing import Closing

__all__ = ["FaceBlur"]

_MIN_SCORE = 0.3  # a blurred poster costs less than a face that is shown
_MARGIN = 0.35  # of a face's size, on each side: hair and chin make a face known, too
_CELLS = 5


class FaceBlur(Closing):
    """Replaces each face that MediaPipe finds by a few large squares.

    It finds faces in up to about five metres, turned away by less than about a right angle. What it
    misses stays as it is, so this is a courtesy and no anonymisation.
    """

    def __init__(self) -> None:
        self._faces = FaceDetector(_MIN_SCORE)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of an RGB picture, uint8 ``[H, W, 3]``, with the faces in it blurred."""
        blurred = image.copy()
        height, width = image.shape[:2]
        for face in self._faces.detect(image):
            across, down = _MARGIN * (face.right - face.left), _MARGIN * (face.bottom - face.top)
            left, right = max(0, int(face.left - across)), min(width, int(face.right + across) + 1)
            top, bottom = max(0, int(face.top - down)), min(height, int(face.bottom + down) + 1)
            region = blurred[top:bottom, left:right]
            if region.size == 0:
                continue
            coarse = cv2.resize(region, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
            size = region.shape[1], region.shape[0]
            region[:] = cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST)
        return blurred

    def close(self) -> None:
        """Release the detector."""
        self._faces.close()
