"""Inputs of the gait network BPM-GCN from a person's joints over time.

Joints are ``[T, 16, 3]`` in the order and axes of `jack_stream.features.skeleton`. The layouts and
formulae are those of "Looking Into Gait for Perceiving Emotions via Bilateral Posture and Movement
Graph Convolutional Networks" (IEEE TAFFC 2024): posture and movement channels, Table I for the
affective features. What the paper leaves open is stated at each function.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from jack_stream.features.skeleton import joint_index

__all__ = [
    "AFFECTIVE_ANGLES",
    "AFFECTIVE_AREAS",
    "AFFECTIVE_DISTANCES",
    "affective_features",
    "movement",
    "posture",
]

FloatArray = npt.NDArray[np.float64]

UP = "up"
"""Stands in `AFFECTIVE_ANGLES` for any point vertically above the root."""

AFFECTIVE_ANGLES = (
    ("left_shoulder", "neck", "right_shoulder"),
    ("neck", "right_shoulder", "left_shoulder"),
    ("right_shoulder", "left_shoulder", "neck"),
    ("neck", "right_shoulder", "right_elbow"),
    ("neck", "left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow", "right_hand"),
    ("left_shoulder", "left_elbow", "left_hand"),
    ("neck", "spine", "root"),
    ("head", "neck", "spine"),
    ("root", "right_hip", "right_knee"),
    ("root", "left_hip", "left_knee"),
    ("right_hip", "right_knee", "right_foot"),
    ("left_hip", "left_knee", "left_foot"),
    ("head", "root", UP),
)
"""Table I's 14 angles, vertex in the middle."""

AFFECTIVE_DISTANCES = (
    ("right_hand", "root"),
    ("left_hand", "root"),
    ("right_hand", "right_shoulder"),
    ("left_hand", "left_shoulder"),
    ("right_elbow", "root"),
    ("left_elbow", "root"),
    ("right_foot", "root"),
    ("left_foot", "root"),
    ("right_foot", "left_foot"),
)
"""Table I's 9 distances."""

AFFECTIVE_AREAS = (
    ("left_hand", "neck", "right_hand"),
    ("left_shoulder", "neck", "right_shoulder"),
    ("left_hand", "root", "right_hand"),
    ("left_elbow", "neck", "right_elbow"),
    ("left_foot", "neck", "right_foot"),
    ("left_hip", "neck", "right_hip"),
    ("left_foot", "root", "right_foot"),
    ("left_knee", "neck", "right_knee"),
)
"""Table I's 8 triangles."""


def posture(joints: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The posture stream's input ``float32[3, T, 16, 1]`` from joints ``[T, 16, 3]``.

    Raises:
        ValueError: the array has another shape.
    """
    points = _joints(joints)
    return np.ascontiguousarray(points.transpose(2, 0, 1)[..., np.newaxis], dtype=np.float32)


def movement(
    joints: npt.ArrayLike, previous: npt.ArrayLike | None = None
) -> npt.NDArray[np.float32]:
    """The movement stream's input ``float32[8, T, 16, 1]`` from joints ``[T, 16, 3]``.

    Channels: velocity in x, y, z and its norm, then acceleration in x, y, z and its norm; per
    frame, not per second. Differences look back, so a frame's channels never change once they are
    known. At a gait's first frame, where the paper leaves them undefined, both are zero; the
    second frame's acceleration is then its velocity.

    Args:
        joints: the frames' joints.
        previous: the two frames before them ``[2, 16, 3]``, where they are known: a stream then
            computes each frame once, and the channels equal those of the whole gait.

    Raises:
        ValueError: the arrays have other shapes.
    """
    points = _joints(joints)
    if previous is None:
        velocity = np.diff(points, axis=0, prepend=points[:1])
        acceleration = np.diff(velocity, axis=0, prepend=velocity[:1])
    else:
        before = _joints(previous)
        if len(before) != 2:
            raise ValueError(f"previous must hold 2 frames, not {len(before)}")
        velocity = np.diff(np.concatenate([before, points]), axis=0)
        acceleration = np.diff(velocity, axis=0)
        velocity = velocity[1:]
    channels = [
        velocity,
        np.linalg.norm(velocity, axis=-1, keepdims=True),
        acceleration,
        np.linalg.norm(acceleration, axis=-1, keepdims=True),
    ]
    stacked = np.concatenate(channels, axis=-1).transpose(2, 0, 1)
    return np.ascontiguousarray(stacked[..., np.newaxis], dtype=np.float32)


def affective_features(
    joints: npt.ArrayLike, *, unit: Literal["radians", "degrees"] = "radians"
) -> FloatArray:
    """The 31 affective features per frame (Table I row by row): 14 angles, 9 distances, 8 areas.

    The paper states neither their order, the angles' unit, a normalisation nor the upward axis:
    here the table's order, ``unit``, none, and +y. Distances have the joints' unit, areas its
    square. An angle with a side of no length is 0.

    Args:
        joints: ``[T, 16, 3]``.
        unit: of the angles.

    Returns:
        ``float64[T, 31]``; flattened in C order it is the 1488-value target of 48 frames.

    Raises:
        ValueError: the array has another shape.
    """
    points = _joints(joints)
    angles = np.stack([_angle(points, *names) for names in AFFECTIVE_ANGLES], axis=-1)
    if unit == "degrees":
        angles = np.degrees(angles)
    distances = [
        np.linalg.norm(_at(points, a) - _at(points, b), axis=-1) for a, b in AFFECTIVE_DISTANCES
    ]
    areas = [_area(points, *names) for names in AFFECTIVE_AREAS]
    return np.concatenate([angles, np.stack([*distances, *areas], axis=-1)], axis=-1)


def _joints(joints: npt.ArrayLike) -> FloatArray:
    points = np.asarray(joints, np.float64)
    if points.ndim != 3 or points.shape[1:] != (16, 3):
        raise ValueError(f"joints must have the shape [T, 16, 3], not {list(points.shape)}")
    return points


def _at(points: FloatArray, name: str) -> FloatArray:
    if name == UP:
        above: FloatArray = points[:, joint_index("root")] + np.array([0.0, 1.0, 0.0])
        return above
    at: FloatArray = points[:, joint_index(name)]
    return at


def _angle(points: FloatArray, first: str, vertex: str, last: str) -> FloatArray:
    """Angle at ``vertex`` in radians; by the arc tangent, which stays exact near 0 and pi."""
    a = _at(points, first) - _at(points, vertex)
    b = _at(points, last) - _at(points, vertex)
    sine = np.linalg.norm(np.cross(a, b), axis=-1)
    angle: FloatArray = np.arctan2(sine, (a * b).sum(-1))
    return angle


def _area(points: FloatArray, a: str, b: str, c: str) -> FloatArray:
    """Area of the triangle of three joints."""
    corner = _at(points, b)
    cross = np.cross(_at(points, a) - corner, _at(points, c) - corner)
    area: FloatArray = 0.5 * np.linalg.norm(cross, axis=-1)
    return area
