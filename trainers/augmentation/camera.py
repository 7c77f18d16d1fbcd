"""What a camera and its pose detector do to a gait, as augmentation of joints."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jack_stream.features.skeleton import JOINTS

__all__ = ["mirrored", "seen_by_a_camera"]

FloatArray = npt.NDArray[np.float64]

_OTHER_SIDE = [
    JOINTS.index(
        name.replace("left", "right") if name.startswith("left") else name.replace("right", "left")
    )
    for name in JOINTS
]

JITTER_M = 0.006
"""Standard deviation of what changes from frame to frame, per axis."""
DEPTH_M = 0.025
"""Of the slow error along the line of sight, where a single camera sees least."""
TILT_RAD = 0.07
"""Of the camera's inclination to the floor."""
PROPORTIONS = 0.04
"""Of a body's breadth, height and depth, as shares."""


def mirrored(joints: FloatArray) -> FloatArray:
    """The gait ``[T, 16, 3]`` of the same person's mirror image."""
    return joints[:, _OTHER_SIDE] * np.array([-1.0, 1.0, 1.0])


def seen_by_a_camera(
    joints: FloatArray, rng: np.random.Generator, strength: float = 1.0
) -> FloatArray:
    """A gait ``[T, 16, 3]`` in metres as a detector might give it: jitter, depth error, tilt.

    Args:
        joints: the gait, the root at the origin.
        rng: one draw per gait.
        strength: factor of all deviations; 0 changes nothing.
    """
    side = rng.uniform(-np.pi, np.pi)
    sight = np.array([np.sin(side), 0.0, np.cos(side)])
    seen = joints * (1 + strength * PROPORTIONS * rng.standard_normal(3))
    seen = seen @ _tilt(side, strength * TILT_RAD * rng.standard_normal())
    drift = _slowly(rng, len(joints)) * DEPTH_M
    jitter = rng.standard_normal(joints.shape) * JITTER_M
    return seen + strength * (jitter + drift[..., np.newaxis] * sight)


def _tilt(side: float, angle: float) -> FloatArray:
    """The rotation by ``angle`` about the horizontal axis across the line of sight (Rodrigues)."""
    x, z = np.cos(side), -np.sin(side)
    cross = np.array([[0.0, -z, 0.0], [z, 0.0, -x], [0.0, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _slowly(rng: np.random.Generator, frames: int) -> FloatArray:
    """Smooth noise of variance 1, ``[frames, 16]``: a few anchors, joined by straight lines."""
    anchors = rng.standard_normal((4, len(JOINTS)))
    at = np.linspace(0, 3, frames)
    drift = [np.interp(at, np.arange(4), anchors[:, j]) for j in range(len(JOINTS))]
    return np.stack(drift, axis=-1)
