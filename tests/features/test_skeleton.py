from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jack_stream.features import skeleton
from jack_stream.features.skeleton import JOINTS, PARENT, joint_index


def _standing_landmarks(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """MediaPipe landmarks with known joint positions: x right in the picture, y down, z away."""
    landmarks = rng.normal(size=(33, 3))
    named = {name: landmarks[i] for name, i in skeleton.MEDIAPIPE_LANDMARKS.items()}
    return landmarks, named


def test_mediapipe_joints_are_named_points_with_y_turned_up() -> None:
    landmarks, named = _standing_landmarks(np.random.default_rng(0))
    joints, visibility = skeleton.from_mediapipe(landmarks, np.ones(33))
    flip = np.array([1, -1, -1])
    expected = {
        "root": (named["left_hip"] + named["right_hip"]) / 2,
        "neck": (named["left_shoulder"] + named["right_shoulder"]) / 2,
        "head": (named["left_ear"] + named["right_ear"]) / 2,
        "right_hand": named["right_wrist"],
        "left_foot": named["left_ankle"],
        "right_knee": named["right_knee"],
        "left_elbow": named["left_elbow"],
    }
    expected["spine"] = (expected["root"] + expected["neck"]) / 2
    for name, point in expected.items():
        np.testing.assert_allclose(joints[joint_index(name)], point * flip, atol=1e-12)
    assert (visibility == 1).all()


def test_mediapipe_visibility_is_the_least_of_a_joints_landmarks() -> None:
    visibility = np.ones(33)
    visibility[skeleton.MEDIAPIPE_LANDMARKS["left_hip"]] = 0.2
    _, joint_visibility = skeleton.from_mediapipe(np.zeros((33, 3)), visibility)
    low = {JOINTS[j] for j in np.flatnonzero(joint_visibility < 1)}
    assert low == {"root", "spine", "left_hip"}


def test_a_landmark_that_is_missing_leaves_the_other_joints_alone() -> None:
    landmarks = np.random.default_rng(1).normal(size=(5, 33, 3))
    landmarks[2, skeleton.MEDIAPIPE_LANDMARKS["right_wrist"]] = np.nan
    joints, _ = skeleton.from_mediapipe(landmarks, np.ones((5, 33)))
    bad = np.argwhere(np.isnan(joints).any(-1))
    assert bad.tolist() == [[2, joint_index("right_hand")]]


def test_emotion_gait_order_is_mapped_by_name() -> None:
    source = np.arange(48.0).reshape(16, 3)
    joints = skeleton.from_emotion_gait(source)
    for name in JOINTS:
        here = joints[joint_index(name)]
        assert (here == source[skeleton.EMOTION_GAIT_JOINTS.index(name)]).all(), name
    assert skeleton.EMOTION_GAIT_JOINTS[4] == "left_shoulder"
    assert JOINTS[4] == "right_shoulder"


def test_bandai_namco_takes_the_points_that_a_detector_sees() -> None:
    names = skeleton.BANDAI_NAMCO_JOINTS
    source = np.random.default_rng(2).normal(size=(3, 21, 3))
    joints = skeleton.from_bandai_namco(source)

    def at(name: str) -> np.ndarray:
        return source[:, names.index(name)]

    expected = {
        "root": (at("UpperLeg_L") + at("UpperLeg_R")) / 2,
        "neck": (at("UpperArm_L") + at("UpperArm_R")) / 2,
        "right_hand": at("Hand_R"),
        "left_foot": at("Foot_L"),
        "left_shoulder": at("UpperArm_L"),
    }
    for name, point in expected.items():
        np.testing.assert_allclose(joints[:, joint_index(name)], point, atol=1e-12)


def test_real_motion_capture_maps_to_a_plausible_person(shared: Path) -> None:
    data = np.load(shared / "data/bandai_namco_styled_motion/dataset1_all_pos21.npz")
    assert tuple(data["joints"]) == skeleton.BANDAI_NAMCO_JOINTS
    joints = skeleton.from_bandai_namco(data["pos_int16"][:100] * data["scale"])
    up = joints[..., 1].mean(0)
    heights = [up[joint_index(n)] for n in ("head", "neck", "spine", "root", "right_knee")]
    assert heights == sorted(heights, reverse=True)
    left_of_right = joints[:, joint_index("left_hip")] - joints[:, joint_index("right_hip")]
    assert left_of_right[..., 0].mean() > 0.1


def test_every_joint_hangs_on_one_that_comes_before_it() -> None:
    assert set(PARENT) == set(JOINTS) - {"root"}
    assert set(skeleton.REST_OFFSET_M) == set(PARENT)
    for child, parent in PARENT.items():
        assert joint_index(parent) < joint_index(child)


@pytest.mark.parametrize(
    "mapping",
    [skeleton.from_emotion_gait, skeleton.from_bandai_namco],
)
def test_wrong_shapes_are_named(mapping: Callable[[np.ndarray], np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"shape \[\.\.\., \d+, 3\], not \[4, 17, 3\]"):
        mapping(np.zeros((4, 17, 3)))
