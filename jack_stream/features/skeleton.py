"""The 16-joint skeleton of the gait models and the ways onto it from other skeletons.

Joints and their order are those of BPM-GCN (IEEE TAFFC 2024, Fig. 3 and the released graph): the
right arm and leg before the left, other than in the published Emotion-Gait files. So every mapping
here goes by name.

Axes: x to the body's left, y up, z the way the body faces when it faces the camera; right-handed;
metres. All sources are brought to these axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

__all__ = [
    "BANDAI_NAMCO_JOINTS",
    "EMOTION_GAIT_JOINTS",
    "JOINTS",
    "MEDIAPIPE_LANDMARKS",
    "PARENT",
    "REST_OFFSET_M",
    "from_bandai_namco",
    "from_emotion_gait",
    "from_mediapipe",
    "joint_index",
]

FloatArray = npt.NDArray[np.float64]

JOINTS = (
    "root",
    "spine",
    "neck",
    "head",
    "right_shoulder",
    "right_elbow",
    "right_hand",
    "left_shoulder",
    "left_elbow",
    "left_hand",
    "right_hip",
    "right_knee",
    "right_foot",
    "left_hip",
    "left_knee",
    "left_foot",
)
"""The joints in the order of every ``[..., 16, ...]`` array of the gait models."""

PARENT: Mapping[str, str] = MappingProxyType(
    {
        "spine": "root",
        "neck": "spine",
        "head": "neck",
        "right_shoulder": "neck",
        "right_elbow": "right_shoulder",
        "right_hand": "right_elbow",
        "left_shoulder": "neck",
        "left_elbow": "left_shoulder",
        "left_hand": "left_elbow",
        "right_hip": "root",
        "right_knee": "right_hip",
        "right_foot": "right_knee",
        "left_hip": "root",
        "left_knee": "left_hip",
        "left_foot": "left_knee",
    }
)
"""Each joint's neighbour on the way to the root: the skeleton's 15 bones."""

REST_OFFSET_M: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "spine": (0.0, 0.25, 0.0),
        "neck": (0.0, 0.25, 0.0),
        "head": (0.0, 0.18, 0.03),
        "right_shoulder": (-0.18, 0.0, 0.0),
        "right_elbow": (-0.03, -0.29, 0.0),
        "right_hand": (-0.02, -0.25, 0.05),
        "left_shoulder": (0.18, 0.0, 0.0),
        "left_elbow": (0.03, -0.29, 0.0),
        "left_hand": (0.02, -0.25, 0.05),
        "right_hip": (-0.10, 0.0, 0.0),
        "right_knee": (0.0, -0.42, 0.0),
        "right_foot": (0.0, -0.42, 0.0),
        "left_hip": (0.10, 0.0, 0.0),
        "left_knee": (0.0, -0.42, 0.0),
        "left_foot": (0.0, -0.42, 0.0),
    }
)
"""Offset of each joint from its parent in an adult who stands upright (metres, these axes)."""

EMOTION_GAIT_JOINTS = (
    "root",
    "spine",
    "neck",
    "head",
    "left_shoulder",
    "left_elbow",
    "left_hand",
    "right_shoulder",
    "right_elbow",
    "right_hand",
    "left_hip",
    "left_knee",
    "left_foot",
    "right_hip",
    "right_knee",
    "right_foot",
)
"""The order of the published Emotion-Gait feature files: the left side first."""

MEDIAPIPE_LANDMARKS: Mapping[str, int] = MappingProxyType(
    {
        "left_ear": 7,
        "right_ear": 8,
        "left_shoulder": 11,
        "right_shoulder": 12,
        "left_elbow": 13,
        "right_elbow": 14,
        "left_wrist": 15,
        "right_wrist": 16,
        "left_hip": 23,
        "right_hip": 24,
        "left_knee": 25,
        "right_knee": 26,
        "left_ankle": 27,
        "right_ankle": 28,
    }
)
"""Index of the landmarks used here among MediaPipe Pose's 33."""

BANDAI_NAMCO_JOINTS = (
    "Hips",
    "Spine",
    "Chest",
    "Neck",
    "Head",
    "Shoulder_L",
    "UpperArm_L",
    "LowerArm_L",
    "Hand_L",
    "Shoulder_R",
    "UpperArm_R",
    "LowerArm_R",
    "Hand_R",
    "UpperLeg_L",
    "LowerLeg_L",
    "Foot_L",
    "Toes_L",
    "UpperLeg_R",
    "LowerLeg_R",
    "Foot_R",
    "Toes_R",
)
"""Joints of the Bandai-Namco motion data set's skeleton, in its order."""

Recipe = Mapping[str, Mapping[str, float]]

_MEDIAPIPE_RECIPE: Recipe = {
    "root": {"left_hip": 0.5, "right_hip": 0.5},
    "spine": {"left_hip": 0.25, "right_hip": 0.25, "left_shoulder": 0.25, "right_shoulder": 0.25},
    "neck": {"left_shoulder": 0.5, "right_shoulder": 0.5},
    "head": {"left_ear": 0.5, "right_ear": 0.5},
    **{
        f"{side}_{joint}": {f"{side}_{landmark}": 1.0}
        for side in ("right", "left")
        for joint, landmark in (
            ("shoulder", "shoulder"),
            ("elbow", "elbow"),
            ("hand", "wrist"),
            ("hip", "hip"),
            ("knee", "knee"),
            ("foot", "ankle"),
        )
    },
}

# A detector sees no spine, neck or pelvis joint, so motion capture takes the same midpoints: what
# a model learns from one must mean the same in the other. "Head" is the skull's base; the ears,
# which stand for the head elsewhere, lie 1.25 neck lengths above it in this data set's proportions.
_BANDAI_NAMCO_RECIPE: Recipe = {
    "root": {"UpperLeg_L": 0.5, "UpperLeg_R": 0.5},
    "spine": {"UpperLeg_L": 0.25, "UpperLeg_R": 0.25, "UpperArm_L": 0.25, "UpperArm_R": 0.25},
    "neck": {"UpperArm_L": 0.5, "UpperArm_R": 0.5},
    "head": {"Head": 2.25, "Neck": -1.25},
    **{
        f"{side}_{joint}": {f"{source}_{letter}": 1.0}
        for side, letter in (("right", "R"), ("left", "L"))
        for joint, source in (
            ("shoulder", "UpperArm"),
            ("elbow", "LowerArm"),
            ("hand", "Hand"),
            ("hip", "UpperLeg"),
            ("knee", "LowerLeg"),
            ("foot", "Foot"),
        )
    },
}


def joint_index(name: str) -> int:
    """The place of the joint ``name`` in `JOINTS`; a ValueError if there is none."""
    return JOINTS.index(name)


def _resolve(recipe: Recipe, index: Mapping[str, int]) -> list[list[tuple[int, float]]]:
    """For each joint of `JOINTS` the (source index, weight) pairs that it is made of."""
    return [[(index[name], weight) for name, weight in recipe[joint].items()] for joint in JOINTS]


def _combine(parts: list[list[tuple[int, float]]], points: FloatArray) -> FloatArray:
    """Joints ``[..., 16, 3]``; a source that is NaN touches only the joints that are made of it."""
    joints = [sum(weight * points[..., i, :] for i, weight in part) for part in parts]
    return np.stack(joints, axis=-2)


def _index(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


_FROM_MEDIAPIPE = _resolve(_MEDIAPIPE_RECIPE, MEDIAPIPE_LANDMARKS)
_FROM_BANDAI_NAMCO = _resolve(_BANDAI_NAMCO_RECIPE, _index(BANDAI_NAMCO_JOINTS))
_FROM_EMOTION_GAIT = [EMOTION_GAIT_JOINTS.index(name) for name in JOINTS]
# MediaPipe's x points right in the picture, y down and z away from the camera. Turning it by 180
# degrees about x is a rotation, so left stays left.
_MEDIAPIPE_AXES = np.array([1.0, -1.0, -1.0])


def _require(array: npt.NDArray[np.generic], shape: tuple[int, ...], what: str) -> None:
    if array.shape[-len(shape) :] != shape:
        expected = ", ".join(["...", *map(str, shape)])
        raise ValueError(f"{what} must have the shape [{expected}], not {list(array.shape)}")


def from_mediapipe(
    landmarks: npt.ArrayLike, visibility: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Joints from MediaPipe Pose's world landmarks.

    The root is the middle of the hips, the neck the middle of the shoulders, the spine the middle
    of those two, the head the middle of the ears, hands are wrists and feet are ankles.

    Args:
        landmarks: world landmarks ``[..., 33, 3]`` in metres, MediaPipe's axes.
        visibility: their visibility ``[..., 33]`` in 0..1.

    Returns:
        joints ``[..., 16, 3]`` in metres and their visibility ``[..., 16]``: the least of the
        landmarks that a joint is made of.

    Raises:
        ValueError: the arrays have other shapes.
    """
    points = np.asarray(landmarks, np.float64)
    seen = np.asarray(visibility, np.float64)
    _require(points, (33, 3), "landmarks")
    _require(seen, (33,), "visibility")
    joints = _combine(_FROM_MEDIAPIPE, points) * _MEDIAPIPE_AXES
    least = [seen[..., [i for i, _ in part]].min(-1) for part in _FROM_MEDIAPIPE]
    return joints, np.stack(least, axis=-1)


def from_emotion_gait(joints: npt.ArrayLike) -> FloatArray:
    """Joints ``[..., 16, 3]`` of an Emotion-Gait feature file (left side first) in our order.

    Raises:
        ValueError: the array has another shape.
    """
    points = np.asarray(joints, np.float64)
    _require(points, (16, 3), "joints")
    return points[..., _FROM_EMOTION_GAIT, :]


def from_bandai_namco(joints: npt.ArrayLike) -> FloatArray:
    """Joints ``[..., 16, 3]`` from the Bandai-Namco data set's 21 (``[..., 21, 3]``, y up).

    Raises:
        ValueError: the array has another shape.
    """
    points = np.asarray(joints, np.float64)
    _require(points, (21, 3), "joints")
    return _combine(_FROM_BANDAI_NAMCO, points)
