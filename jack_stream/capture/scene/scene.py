"""One walker's scene as functions of time: which style, which picture, which sound, which truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.scene.draw import HEIGHT, WIDTH, Camera, draw_room, draw_walker
from jack_stream.capture.scene.sound import SoundTrack
from jack_stream.capture.scene.walk import STYLES, WalkStyle, blend, landmarks, world_landmarks
from jack_stream.errors import UsageError

__all__ = ["FPS", "Scene"]

FPS = 25
_GRID_HZ = 200
_CHANGE_S = 1.0
_HEADING = np.radians(40.0)  # towards the camera and to the right: both legs and the face are seen


class Scene:
    """A person whose manner of walking changes every few seconds; the same for the same seed.

    The camera walks along, so the person stays in the picture while the corridor passes. All times
    are seconds from the scene's start.

    Args:
        styles: names out of `STYLES`, one after another, for equally long.
        seed: of the walker's individual variation, and of the steps' noise.
        seconds: the scene's length.

    Raises:
        UsageError: a style has no such name, or there is none.
    """

    def __init__(
        self, styles: Sequence[str] = tuple(STYLES), seed: int = 1, seconds: float = 48.0
    ) -> None:
        unknown = [name for name in styles if name not in STYLES]
        if unknown or not styles:
            known = ", ".join(STYLES)
            raise UsageError(
                f"no style of walking is called {unknown}", hint=f"choose from {known}"
            )
        rng = np.random.default_rng(seed)
        individual = rng.integers(2**32)
        self.styles = tuple(styles)
        self.seconds = seconds
        # One person: the same factors, whatever the mood.
        self._walkers = [
            STYLES[name].varied(np.random.default_rng(individual)) for name in self.styles
        ]
        self._camera = Camera()
        self._grid = np.arange(int(np.ceil(seconds * _GRID_HZ)) + 2) / _GRID_HZ
        moods = self._weights(self._grid)
        cadence = moods @ np.array([style.cadence for style in self._walkers])
        speed = moods @ np.array([style.speed for style in self._walkers])
        self._phase = 2 * np.pi * _integral(cadence)
        self._travelled = _integral(speed) * np.sin(_HEADING)
        self._sound = SoundTrack(self._grid, self._phase, moods, self.styles, seed)

    def style(self, t: float) -> str:
        """The name of the style at a time."""
        return self.styles[int(self._weights(np.array([t]))[0].argmax())]

    def walk(self, t: float) -> tuple[WalkStyle, float]:
        """The manner of walking at a time and its phase in radians (see `walk.landmarks`)."""
        weights = self._weights(np.array([t]))[0]
        first = int(np.flatnonzero(weights)[0])
        second = min(first + 1, len(self._walkers) - 1)
        manner = blend(self._walkers[first], self._walkers[second], float(1 - weights[first]))
        return manner, float(np.interp(t, self._grid, self._phase))

    def frame(self, t: float) -> NDArray[np.uint8]:
        """The picture at a time, RGB uint8 ``[480, 640, 3]``."""
        image = draw_room(float(np.interp(t, self._grid, self._travelled)), self._camera)
        draw_walker(image, self._standing(t), self._camera)
        return image

    def keypoints(self, t: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The truth about the walker at a time, in MediaPipe's terms.

        Returns:
            keypoints and world landmarks, float32 ``[33, 4]`` each, as in a ``pose`` message; z of
            the keypoints is 0; the visibility is 1 inside the picture.
        """
        manner, phase = self.walk(t)
        seen = self._camera.project(self._standing(t))
        image = np.zeros((33, 4), np.float32)
        image[:, :2] = seen[:, :2] / (WIDTH, HEIGHT)
        image[:, 3] = ((image[:, :2] >= 0) & (image[:, :2] <= 1)).all(axis=1)
        world = np.ones((33, 4), np.float32)
        world[:, :3] = world_landmarks(landmarks(manner, phase)[0], _HEADING)
        world[:, 3] = image[:, 3]
        return image, world

    def samples(self, t0: float, t1: float, sample_rate: int = 44100) -> NDArray[np.float32]:
        """The sound of [t0, t1), mono float32, -1 to 1.

        Consecutive spans join without a gap: sample n is at n / ``sample_rate`` seconds.
        """
        first, end = round(t0 * sample_rate), round(t1 * sample_rate)
        return self._sound.samples(first, end, sample_rate)

    def _standing(self, t: float) -> NDArray[np.float64]:
        """The landmarks in the camera's axes, on the floor, strolling a little in the picture."""
        manner, phase = self.walk(t)
        world = world_landmarks(landmarks(manner, phase)[0], _HEADING)
        points = world * np.array([1.0, -1.0, -1.0])
        points[:, 1] -= points[27:33, 1].min()
        points[:, 0] += 0.25 * np.sin(0.35 * t)
        return np.asarray(points)

    def _weights(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much of each style there is at times ``[T]``: ``[T, styles]``, rows sum to 1."""
        count = len(self.styles)
        length = self.seconds / count
        at = np.clip(t, 0.0, self.seconds) / length
        now = np.minimum(at.astype(int), count - 1)
        change = min(_CHANGE_S / length, 0.5)
        begun = np.clip((at - now) / change, 0.0, 1.0)
        share = np.where(now == 0, 1.0, begun * begun * (3 - 2 * begun))
        weights = np.zeros((len(t), count))
        rows = np.arange(len(t))
        weights[rows, np.maximum(now - 1, 0)] = 1 - share
        weights[rows, now] += share
        return weights


def _integral(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """The integral of a rate given on the grid, by trapezoids, from 0."""
    steps = (rate[1:] + rate[:-1]) / 2 / _GRID_HZ
    return np.concatenate([[0.0], np.cumsum(steps)])
