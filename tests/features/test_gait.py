from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.npyio import NpzFile

from jack_stream.features import gait
from jack_stream.features.skeleton import joint_index

gaits = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.just(16), st.just(3)),
    elements=st.floats(-2, 2, width=32, allow_subnormal=False),
)


@pytest.fixture(scope="module")
def golden(shared: Path) -> NpzFile:
    return np.load(shared / "golden/gait_features.npz")


def test_movement_meets_the_reference(golden: NpzFile) -> None:
    for positions, expected in zip(golden["positions"], golden["movement"], strict=True):
        np.testing.assert_allclose(gait.movement(positions), expected, atol=1e-6)


def test_affective_features_meet_the_reference(golden: NpzFile) -> None:
    for i, positions in enumerate(golden["positions"]):
        radians = gait.affective_features(positions)
        np.testing.assert_allclose(radians, golden["affective"][i], atol=1e-9)
        degrees = gait.affective_features(positions, unit="degrees")
        np.testing.assert_allclose(degrees, golden["affective_degrees"][i], atol=1e-9)


def test_inputs_meet_those_of_the_reference_network(shared: Path, golden: NpzFile) -> None:
    network = np.load(shared / "golden/gait.npz")
    assert (gait.posture(golden["positions"][0]) == network["x_p"][0]).all()
    np.testing.assert_allclose(gait.movement(golden["positions"][0]), network["x_m"][0], atol=1e-6)


def test_shapes_and_types() -> None:
    joints = np.random.default_rng(0).normal(size=(48, 16, 3))
    assert gait.posture(joints).shape == (3, 48, 16, 1)
    assert gait.movement(joints).shape == (8, 48, 16, 1)
    assert gait.posture(joints).dtype == gait.movement(joints).dtype == np.float32
    assert gait.affective_features(joints).shape == (48, 31)


@given(gaits, hnp.arrays(np.float64, 3, elements=st.floats(-5, 5, width=32, allow_subnormal=False)))
def test_moving_the_whole_gait_changes_no_movement_and_no_affective_feature(
    joints: np.ndarray, shift: np.ndarray
) -> None:
    np.testing.assert_allclose(gait.movement(joints + shift), gait.movement(joints), atol=1e-5)
    a, b = gait.affective_features(joints), gait.affective_features(joints + shift)
    np.testing.assert_allclose(a[:, 14:], b[:, 14:], atol=1e-9)  # distances and areas
    assert np.isfinite(a).all()


@given(gaits, st.data())
def test_movement_computed_frame_by_frame_equals_that_of_the_whole_gait(
    joints: np.ndarray, data: st.DataObject
) -> None:
    whole = gait.movement(joints)
    at = data.draw(st.integers(0, len(joints)))
    if at < 2:
        return
    rest = gait.movement(joints[at:], previous=joints[at - 2 : at])
    np.testing.assert_allclose(rest, whole[:, at:], atol=1e-6)


def test_a_right_angle_a_distance_and_an_area_are_what_geometry_says() -> None:
    joints = np.zeros((1, 16, 3))
    for name, point in {
        "right_hip": (0, 0, 0),
        "right_knee": (0, -1, 0),
        "right_foot": (0, -1, 2),
        "left_foot": (3, -1, 2),
        "head": (1, 0, 0),
    }.items():
        joints[0, joint_index(name)] = point
    features = gait.affective_features(joints)[0]
    bent_knee = ("right_hip", "right_knee", "right_foot")
    assert features[gait.AFFECTIVE_ANGLES.index(bent_knee)] == pytest.approx(np.pi / 2)
    assert features[13] == pytest.approx(np.pi / 2)  # head lies level with the root
    feet = 14 + gait.AFFECTIVE_DISTANCES.index(("right_foot", "left_foot"))
    assert features[feet] == pytest.approx(3)
    triangle = 23 + gait.AFFECTIVE_AREAS.index(("left_foot", "root", "right_foot"))
    assert features[triangle] == pytest.approx(0.5 * 3 * np.hypot(1, 2))


def test_left_and_right_are_told_apart() -> None:
    joints = np.zeros((3, 16, 3))
    joints[1, joint_index("left_hand"), 0] = 1
    moved = np.abs(gait.movement(joints)).sum((0, 1, 3))
    assert np.flatnonzero(moved).tolist() == [9]


@pytest.mark.parametrize("function", [gait.posture, gait.movement, gait.affective_features])
def test_wrong_shapes_are_named(function: Callable[[np.ndarray], np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"\[T, 16, 3\], not \[48, 17, 3\]"):
        function(np.zeros((48, 17, 3)))
