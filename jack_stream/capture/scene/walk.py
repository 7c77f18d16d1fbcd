"""How people walk, in four moods, as moving landmarks in space.

The walk itself is textbook gait: hip, knee and ankle angles over the cycle after Perry and
Burnfield 2010, "Gait Analysis", with the stride that speed and cadence ask for. What moods change
in it, and in which direction, is taken from experiments:

- Montepare, Goldstein and Clausen 1987 (J. Nonverbal Behavior 11): angry walks are heavy-footed
  with long strides, sad ones have less arm swing, happy ones are fast-paced.
- Roether, Omlor, Christensen and Giese 2009 (J. Vision 9(6):15): sadness shrinks the joints'
  amplitudes and bows the head; anger and happiness enlarge them, and anger bends the elbows.
- Michalak et al. 2009 (Psychosomatic Medicine 71): sadness walks slower, with less arm swing and
  vertical movement, more lateral sway and a slumped posture.
- Gross, Crane and Fredrickson 2012 (Human Movement Science 31): joy and anger are fast, sadness
  slow; sadness flexes neck and trunk, joy stretches them; anger is the least smooth.

The sizes of the effects are ours, of the order that those papers report. So these walks are stimuli
that a demonstration or a test can tell apart, not data about people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["STYLES", "WalkStyle", "blend", "landmarks", "world_landmarks"]

Array = NDArray[np.float64]

_THIGH, _SHANK, _ANKLE = 0.42, 0.42, 0.08
_TRUNK, _NECK_TO_EARS = 0.50, 0.19
_UPPER_ARM, _FOREARM = 0.29, 0.25
_LEFT_RIGHT = ((1.0, 0.0), (-1.0, np.pi))
"""Side of the body (x) and phase of its leg."""


@dataclass(frozen=True, slots=True)
class WalkStyle:
    """A manner of walking.

    Attributes:
        speed: in metres per second.
        cadence: strides (two steps) per second.
        arm_swing: the upper arms' amplitude in degrees.
        elbow: how far the elbows are bent on average, in degrees.
        lean: how far the trunk leans forward, in degrees.
        bow: how far the head is bowed beyond the trunk, in degrees.
        slump: how far the shoulders are drawn forward and down, in metres.
        sway: lateral amplitude of the body in metres.
        bounce: vertical amplitude in metres, on top of what the legs' geometry gives.
        knee_lift: the knees' greatest flexion while the leg swings, in degrees.
        sharpness: 0 for sinusoidal movement; 1 and more for abrupt reversals, that is, jerk.
    """

    speed: float
    cadence: float
    arm_swing: float
    elbow: float
    lean: float
    bow: float
    slump: float
    sway: float
    bounce: float
    knee_lift: float
    sharpness: float

    def varied(self, rng: np.random.Generator, amount: float = 0.06) -> WalkStyle:
        """The same manner in another person: each value times a log-normal factor.

        Args:
            rng: where the factors come from.
            amount: their standard deviation in logarithms.
        """
        factors = np.exp(amount * rng.standard_normal(len(dataclasses.fields(self))))
        return WalkStyle(*(v * float(f) for v, f in zip(_values(self), factors, strict=True)))


STYLES: Mapping[str, WalkStyle] = MappingProxyType(
    {
        "neutral": WalkStyle(1.25, 0.92, 22.0, 18.0, 3.0, 4.0, 0.0, 0.020, 0.004, 58.0, 0.2),
        "happy": WalkStyle(1.45, 1.00, 38.0, 30.0, -3.0, -8.0, -0.01, 0.022, 0.022, 66.0, 0.5),
        "sad": WalkStyle(0.75, 0.70, 8.0, 10.0, 12.0, 28.0, 0.05, 0.045, 0.0, 46.0, 0.1),
        "angry": WalkStyle(1.65, 1.08, 32.0, 55.0, 9.0, 8.0, 0.01, 0.018, 0.010, 64.0, 1.6),
    }
)
"""One typical walker for each of the gait model's four emotions."""


def blend(first: WalkStyle, second: WalkStyle, weight: float) -> WalkStyle:
    """A manner between two: the first at weight 0, the second at 1."""
    pairs = zip(_values(first), _values(second), strict=True)
    return WalkStyle(*((1 - weight) * a + weight * b for a, b in pairs))


def landmarks(style: WalkStyle, phase: ArrayLike) -> Array:
    """MediaPipe's 33 body landmarks of an adult of 1.75 m who walks in place.

    Args:
        style: the manner of walking.
        phase: radians ``[T]``; the left heel strikes at multiples of 2 pi, the right one half a
            cycle later.

    Returns:
        float64 ``[T, 33, 3]`` in metres: x to the body's left, y up from the floor, z ahead.
    """
    at = np.atleast_1d(np.asarray(phase, np.float64))
    points = np.zeros((len(at), 33, 3))
    swing = _wave(at, style.sharpness)
    _place_legs(points, style, at)
    _place_trunk(points, style, swing)
    _place_arms(points, style, at)
    _place_head(points, style)
    points[..., 0] += style.sway * np.sin(at)[:, None]
    points[..., 1] -= points[:, 29:33, 1].min(axis=1)[:, None]
    points[..., 1] += style.bounce * (1 - np.cos(2 * at))[:, None]
    return points


def world_landmarks(points: Array, heading: float) -> Array:
    """Landmarks as MediaPipe gives them for someone who walks in a direction.

    Args:
        points: ``[..., 33, 3]`` of :func:`landmarks`.
        heading: where the person walks, radians: 0 towards the camera, a quarter turn (pi/2)
            towards the picture's right.

    Returns:
        ``[..., 33, 3]`` in metres from the middle of the hips: x to the picture's right, y down, z
        away from the camera.
    """
    centred = points - points[..., 23:25, :].mean(axis=-2, keepdims=True)
    c, s = np.cos(heading), np.sin(heading)
    turned = centred @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    return np.asarray(turned * np.array([1.0, -1.0, -1.0]))


def _values(style: WalkStyle) -> tuple[float, ...]:
    return dataclasses.astuple(style)


def _wave(phase: Array, sharpness: float) -> Array:
    """A cosine, flattened at its ends the more, the sharper: quick passages, abrupt reversals."""
    steep = max(sharpness, 1e-3)
    return np.asarray(np.tanh(steep * np.cos(phase)) / np.tanh(steep))


def _bump(phase: Array, centre: float, width: float) -> Array:
    """A periodic bell of height 1 at a part of the cycle; ``width`` in parts of it, too."""
    distance = (phase / (2 * np.pi) - centre + 0.5) % 1.0 - 0.5
    return np.asarray(np.exp(-0.5 * (distance / width) ** 2))


def _along(origin: Array, angle: Array, length: float) -> Array:
    """The end of a segment that hangs from ``origin``, turned forward by ``angle``."""
    end = origin.copy()
    end[:, 1] -= length * np.cos(angle)
    end[:, 2] += length * np.sin(angle)
    return end


def _place_legs(points: Array, style: WalkStyle, phase: Array) -> None:
    """Hips, knees, ankles and feet; the hips' middle stands at the origin."""
    step = style.speed / (2 * style.cadence)
    reach = np.arcsin(min(step / (2 * (_THIGH + _SHANK)), 0.6))
    for (side, lag), hip in zip(_LEFT_RIGHT, (23, 24), strict=True):
        at = phase + lag
        swing = _wave(at, style.sharpness * 0.5)
        thigh = reach * swing + np.radians(6.0)
        flexion = 5.0 + 13.0 * _bump(at, 0.14, 0.06) + style.knee_lift * _bump(at, 0.72, 0.09)
        shank = thigh - np.radians(flexion)
        pitch = np.radians(18.0 * _bump(at, 0.0, 0.05) - 42.0 * _bump(at, 0.62, 0.08))
        points[:, hip, 0] = side * 0.10
        points[:, hip, 2] = 0.03 * swing
        points[:, hip + 2] = _along(points[:, hip], thigh, _THIGH)
        points[:, hip + 4] = _along(points[:, hip + 2], shank, _SHANK)
        for landmark, (ahead, below) in ((hip + 6, (-0.05, _ANKLE)), (hip + 8, (0.17, _ANKLE))):
            points[:, landmark] = points[:, hip + 4]
            points[:, landmark, 1] += ahead * np.sin(pitch) - below * np.cos(pitch)
            points[:, landmark, 2] += ahead * np.cos(pitch) + below * np.sin(pitch)


def _place_trunk(points: Array, style: WalkStyle, swing: Array) -> None:
    """The shoulders, turning against the hips."""
    lean = np.radians(style.lean)
    for side, shoulder in ((1.0, 11), (-1.0, 12)):
        points[:, shoulder, 0] = side * (0.185 - abs(style.slump) * 0.2)
        points[:, shoulder, 1] = _TRUNK * np.cos(lean) - style.slump
        points[:, shoulder, 2] = _TRUNK * np.sin(lean) + style.slump - side * 0.045 * swing


def _place_arms(points: Array, style: WalkStyle, phase: Array) -> None:
    """Elbows, wrists and hands; each arm swings with the other side's leg."""
    for (side, lag), shoulder in zip(_LEFT_RIGHT, (11, 12), strict=True):
        swing = _wave(phase + lag + np.pi, style.sharpness)
        upper = np.radians(style.arm_swing * swing + 2.0 + 0.3 * style.lean)
        fore = upper + np.radians(style.elbow + 0.5 * style.arm_swing * (1 + swing))
        points[:, shoulder + 2] = _along(points[:, shoulder], upper, _UPPER_ARM)
        points[:, shoulder + 2, 0] += side * 0.05
        points[:, shoulder + 4] = _along(points[:, shoulder + 2], fore, _FOREARM)
        points[:, shoulder + 4, 0] += side * 0.01
        for landmark, (length, inward) in (
            (shoulder + 6, (0.08, 0.0)),
            (shoulder + 8, (0.09, 0.015)),
            (shoulder + 10, (0.05, 0.03)),
        ):
            points[:, landmark] = _along(points[:, shoulder + 4], fore, length)
            points[:, landmark, 0] -= side * inward


def _place_head(points: Array, style: WalkStyle) -> None:
    """Ears, eyes, nose and mouth on a head bowed about the neck."""
    neck = points[:, 11:13].mean(axis=1)
    tilt = np.radians(style.lean + style.bow)
    face = {0: (0.0, 0.0, 0.115), 7: (0.075, 0.015, 0.0), 8: (-0.075, 0.015, 0.0)}
    for i, x in enumerate((0.018, 0.033, 0.048)):
        face[1 + i] = (x, 0.035, 0.09)
        face[4 + i] = (-x, 0.035, 0.09)
    face[9], face[10] = (0.025, -0.045, 0.09), (-0.025, -0.045, 0.09)
    for landmark, (x, y, z) in face.items():
        up, ahead = _NECK_TO_EARS + y, 0.02 + z
        points[:, landmark, 0] = neck[:, 0] + x
        points[:, landmark, 1] = neck[:, 1] + up * np.cos(tilt) - ahead * np.sin(tilt)
        points[:, landmark, 2] = neck[:, 2] + up * np.sin(tilt) + ahead * np.cos(tilt)
