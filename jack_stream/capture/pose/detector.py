"""MediaPipe's packaged networks, one object per network and person, quiet on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.pose.landmarks import Box, Landmarks
from jack_stream.closing import Closing
from jack_stream.errors import MissingDependencyError

__all__ = ["FaceDetector", "LandmarkDetector"]

Image = NDArray[np.uint8]
_BLANK = 127
_FULL_RANGE = 1  # the face model for up to 5 m; the other one is for 2 m


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the C++ libraries say at their start off standard error, unless they fail.

    They write to the file descriptor before their logging can be configured, so only redirecting
    the descriptor helps.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _solutions() -> tuple[Any, Any]:
    """The classes for poses and faces; importing them takes seconds, so not at module import."""
    try:
        with _quiet():
            from mediapipe.python.solutions import (  # noqa: PLC0415 - slow, see above
                face_detection,
                pose,
            )
    except ImportError as error:
        raise MissingDependencyError(
            f"MediaPipe, which finds the poses, can't be imported: {error}",
            hint="install mediapipe 0.10.21 and the system library libgl1; `jack-stream doctor` "
            "says what is missing",
        ) from error
    return pose.Pose, face_detection.FaceDetection


class LandmarkDetector:
    """Finds the landmarks of the most prominent person and follows that person.

    MediaPipe first runs a person detector on the picture and then its landmark network (complexity
    1, the only one in the package) on the region that the landmarks of the frame before give; the
    detector runs again when the person is lost. It smooths the landmarks over time. So an object
    of this class follows one person, and :meth:`forget` makes it ready for another.

    Args:
        min_detection: least score of the person detector, 0 to 1.
        min_tracking: least presence score for following on, 0 to 1.
    """

    def __init__(self, min_detection: float = 0.5, min_tracking: float = 0.5) -> None:
        pose_class, _ = _solutions()
        with _quiet():
            self._pose = pose_class(
                model_complexity=1,
                min_detection_confidence=min_detection,
                min_tracking_confidence=min_tracking,
            )
            self._pose.process(np.full((64, 64, 3), _BLANK, np.uint8))  # loads the networks
        self._blank = True
        self._settled = False

    def detect(self, image: Image) -> Landmarks | None:
        """The landmarks in an RGB picture, uint8 ``[H, W, 3]``, or None."""
        self._blank = False
        with contextlib.nullcontext() if self._settled else _quiet():
            found = self._pose.process(np.ascontiguousarray(image))
        if not found.pose_landmarks:
            return None
        self._settled = True  # the first one found makes the libraries talk for the last time
        keypoints = _table(found.pose_landmarks.landmark)
        world = _table(found.pose_world_landmarks.landmark)
        outside = ((keypoints[:, :2] < 0) | (keypoints[:, :2] > 1)).any(axis=1)
        keypoints[outside, 3] = 0
        world[:, 3] = keypoints[:, 3]
        return Landmarks(keypoints, world)

    def forget(self) -> None:
        """Lose the person followed.

        An empty picture does it in 20 ms; restarting MediaPipe's graph would take 200.
        """
        blank = np.full((64, 64, 3), _BLANK, np.uint8)
        while not self._blank:
            self._blank = self._pose.process(blank).pose_landmarks is None

    def close(self) -> None:
        """Release the networks."""
        self._pose.close()


class FaceDetector(Closing):
    """MediaPipe's packaged full-range face detector, which finds faces in up to about 5 metres."""

    def __init__(self, min_score: float = 0.5) -> None:
        _, face_class = _solutions()
        with _quiet():
            self._faces = face_class(
                model_selection=_FULL_RANGE, min_detection_confidence=min_score
            )
            self._faces.process(np.full((64, 64, 3), _BLANK, np.uint8))

    def detect(self, image: Image) -> list[Box]:
        """The boxes in pixels of the faces in an RGB picture, the most certain first."""
        height, width = image.shape[:2]
        found = self._faces.process(np.ascontiguousarray(image)).detections or []
        boxes = []
        for face in sorted(found, key=lambda detection: -float(detection.score[0])):
            at = face.location_data.relative_bounding_box
            left, top = at.xmin * width, at.ymin * height
            boxes.append(Box(left, top, left + at.width * width, top + at.height * height))
        return boxes

    def close(self) -> None:
        """Release the network."""
        self._faces.close()


def _table(landmarks: Any) -> NDArray[np.float32]:
    """MediaPipe's list of landmarks as float32 ``[33, 4]``."""
    return np.array([(p.x, p.y, p.z, p.visibility) for p in landmarks], np.float32)
