from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import BundleError
from jack_stream.features.gait_window import (
    GaitPreprocessing,
    body_height,
    normalise,
    resample,
)
from jack_stream.features.skeleton import (
    JOINTS,
    PARENT,
    REST_OFFSET_M,
    from_emotion_gait,
    joint_index,
)

RATE = 15.0
T0 = 1_700_000_000_000_000_000


def _times(n: int, rate: float = RATE) -> np.ndarray:
    return T0 + np.round(np.arange(n) / rate * 1e9).astype(np.int64)


def _walk(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 16, 3))


def _upright() -> np.ndarray:
    joints = np.zeros((16, 3))
    for name, parent in PARENT.items():
        joints[joint_index(name)] = joints[joint_index(parent)] + REST_OFFSET_M[name]
    return joints


def test_resampling_at_the_samples_own_rate_is_the_identity() -> None:
    joints = _walk(48)
    gait = resample(_times(48), joints, np.ones((48, 16)), T0, frame_rate_hz=RATE)
    np.testing.assert_allclose(gait.joints, joints, atol=1e-6)
    assert gait.support == 1


def test_uneven_samples_are_interpolated_on_event_time() -> None:
    rng = np.random.default_rng(3)
    seconds = np.sort(np.r_[0, rng.uniform(0, 4, 80), 4])
    velocity = rng.normal(size=(16, 3))
    joints = seconds[:, None, None] * velocity
    times = T0 + (seconds * 1e9).astype(np.int64)
    gait = resample(times, joints, np.ones((82, 16)), T0, frame_rate_hz=RATE)
    expected = (np.arange(48) / RATE)[:, None, None] * velocity
    np.testing.assert_allclose(gait.joints, expected, atol=1e-6)
    assert gait.support == 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.sampled_from([0.0, 0.02, 0.3]))
@settings(max_examples=40)
def test_joints_that_were_seen_together_are_resampled_as_each_alone(
    seed: int, n: int, unseen: float
) -> None:
    rng = np.random.default_rng(seed)
    times = T0 + np.sort(rng.choice(4000, n, replace=False)).astype(np.int64) * 1_000_000
    joints, visibility = _walk(n, seed), (rng.random((n, 16)) >= unseen).astype(np.float64)
    joints[rng.random((n, 16)) < unseen / 3] = np.nan
    gait = resample(times, joints, visibility, T0, frame_rate_hz=RATE)
    grid, seconds = np.arange(48) / RATE, (times - T0) / 1e9
    for j in range(16):
        known = np.isfinite(joints[:, j]).all(-1)
        good = known & (visibility[:, j] > 0)
        for used, at in ((known, ~gait.supported[:, j]), (good, gait.supported[:, j])):
            if known.any() and at.any():
                expected = [np.interp(grid[at], seconds[used], one[used]) for one in joints[:, j].T]
                np.testing.assert_array_equal(gait.joints[at, j], np.transpose(expected))


@given(st.randoms(use_true_random=False), st.integers(2, 60))
@settings(max_examples=25)
def test_late_and_reordered_samples_change_nothing(random: Random, n: int) -> None:
    joints, visibility = _walk(n), np.random.default_rng(n).random((n, 16))
    order = list(range(n))
    random.shuffle(order)
    straight = resample(_times(n), joints, visibility, T0, frame_rate_hz=RATE)
    mixed = resample(_times(n)[order], joints[order], visibility[order], T0, frame_rate_hz=RATE)
    assert (straight.joints == mixed.joints).all()
    assert (straight.supported == mixed.supported).all()


@given(st.permutations(range(16)))
@settings(max_examples=20)
def test_joints_are_resampled_independently_of_each_other(order: list[int]) -> None:
    joints, visibility = _walk(30), np.random.default_rng(5).random((30, 16))
    joints[4, 3] = np.nan
    one = resample(_times(30), joints, visibility, T0, frame_rate_hz=12.0)
    other = resample(_times(30), joints[:, order], visibility[:, order], T0, frame_rate_hz=12.0)
    np.testing.assert_array_equal(one.joints[:, order], other.joints)
    np.testing.assert_array_equal(one.supported[:, order], other.supported)


def test_short_gaps_are_bridged_and_long_ones_are_not() -> None:
    joints = np.broadcast_to(np.arange(48.0)[:, None, None], (48, 16, 3)).copy()
    visibility = np.ones((48, 16))
    short, long = joint_index("left_hand"), joint_index("right_foot")
    visibility[10:12, short] = 0  # neighbours 0.2 s apart
    visibility[10:20, long] = 0
    joints[visibility == 0] = np.nan
    gait = resample(_times(48), joints, visibility, T0, frame_rate_hz=RATE, max_gap_s=0.25)
    assert gait.supported[:, short].all()
    assert np.flatnonzero(~gait.supported[:, long]).tolist() == list(range(10, 20))
    np.testing.assert_allclose(gait.joints[:, long, 0], np.arange(48.0), atol=1e-6)
    assert gait.support == pytest.approx(1 - 10 / (48 * 16))


def test_a_detectors_guess_is_used_but_is_no_evidence() -> None:
    joints = _walk(48)
    visibility = np.ones((48, 16))
    visibility[20:40, 6] = 0.1
    gait = resample(_times(48), joints, visibility, T0, frame_rate_hz=RATE)
    np.testing.assert_allclose(gait.joints[20:40, 6], joints[20:40, 6], atol=1e-6)
    assert not gait.supported[20:40, 6].any()


def test_a_window_that_the_samples_do_not_fill_is_held_and_not_supported() -> None:
    joints = _walk(24)
    gait = resample(_times(24), joints, np.ones((24, 16)), T0, frame_rate_hz=RATE)
    assert gait.support == pytest.approx(0.5)
    np.testing.assert_allclose(gait.joints[24:], np.broadcast_to(joints[23], (24, 16, 3)))


def test_a_joint_that_was_never_found_stands_where_an_upright_adults_would() -> None:
    joints = _walk(48)
    foot, knee = joint_index("left_foot"), joint_index("left_knee")
    joints[:, [knee, foot]] = np.nan
    gait = resample(_times(48), joints, np.ones((48, 16)), T0, frame_rate_hz=RATE)
    expected = gait.joints[:, joint_index("left_hip")] + REST_OFFSET_M["left_knee"]
    np.testing.assert_allclose(gait.joints[:, knee], expected)
    assert np.isfinite(gait.joints).all()
    assert not gait.supported[:, [knee, foot]].any()


def test_no_sample_at_all_gives_no_support() -> None:
    gait = resample([], np.zeros((0, 16, 3)), np.zeros((0, 16)), T0, frame_rate_hz=RATE)
    assert gait.support == 0
    assert np.isfinite(gait.joints).all()


def test_wrong_shapes_and_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[T, 16, 3\] and \[T, 16\], not"):
        resample(_times(3), np.zeros((2, 16, 3)), np.zeros((3, 16)), T0, frame_rate_hz=RATE)
    with pytest.raises(ValueError, match="frame_rate_hz must be positive"):
        resample(_times(3), np.zeros((3, 16, 3)), np.zeros((3, 16)), T0, frame_rate_hz=0)


def _floats(least: float, most: float) -> st.SearchStrategy[float]:
    """No subnormal numbers: Jittor, once imported, rounds them to zero in the whole process."""
    return st.floats(least, most, allow_subnormal=False)


@given(_floats(-np.pi, np.pi), _floats(0.3, 3), _floats(-4, 4))
@settings(max_examples=30)
def test_normalising_takes_out_place_heading_and_size(
    turn: float, size: float, shift: float
) -> None:
    rng = np.random.default_rng(8)
    joints = _upright() + 0.05 * rng.normal(size=(48, 16, 3))
    cosine, sine = np.cos(turn), np.sin(turn)
    rotation = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    moved = (joints @ rotation.T) * size + np.array([shift, 2 * shift, -shift])
    one = normalise(joints, heading="hips", height=1.354)
    other = normalise(moved, heading="hips", height=1.354)
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert body_height(one) == pytest.approx(1.354)
    hips = one[:, joint_index("left_hip")] - one[:, joint_index("right_hip")]
    assert hips.mean(0)[0] > 0
    assert hips.mean(0)[2] == pytest.approx(0, abs=1e-12)


def test_normalising_keeps_what_it_is_told_to_keep() -> None:
    joints = _upright() + 0.05 * np.random.default_rng(1).normal(size=(10, 16, 3))
    kept = normalise(joints, heading="keep", height=0)
    np.testing.assert_allclose(kept, joints - joints[:, :1])


def test_a_collapsed_body_is_refused() -> None:
    with pytest.raises(ValueError, match="no size"):
        normalise(np.ones((48, 16, 3)), heading="keep", height=1.0)


def test_the_left_side_of_real_gaits_comes_out_at_positive_x_and_the_face_at_positive_z(
    shared: Path,
) -> None:
    frame = np.load(shared / "data/gait_teachers/step_align_reference_frame.npy")
    joints = normalise(from_emotion_gait(frame)[None], heading="hips", height=1.354)[0]
    assert joints[joint_index("left_shoulder"), 0] > joints[joint_index("right_shoulder"), 0]
    assert joints[joint_index("head"), 2] > 0.1  # the gaits lean forward
    assert body_height(from_emotion_gait(frame)[None]) == pytest.approx(1.354, abs=1e-3)


def test_settings_go_into_a_card_and_come_back() -> None:
    ours = GaitPreprocessing(frame_rate_hz=12.5, heading="keep", height=0)
    assert GaitPreprocessing.from_card(ours.to_card()) == ours
    assert GaitPreprocessing.from_card({}) == GaitPreprocessing()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"frame_rate": 30}, "unknown field `frame_rate`"),
        ({"frame_rate_hz": 0}, r">= 0.1.*frame_rate_hz"),
        ({"heading": "north"}, r"'north'.*heading"),
        ({"frames": "48"}, r"`int`.*frames"),
    ],
)
def test_a_card_that_does_not_fit_is_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        GaitPreprocessing.from_card(table)


def test_preprocessing_makes_the_networks_inputs() -> None:
    settings_ = GaitPreprocessing(frame_rate_hz=RATE)
    assert settings_.window_ns == 3_200_000_000
    joints = _upright() + 0.05 * np.random.default_rng(2).normal(size=(60, 16, 3))
    gait = settings_.resample(_times(60), joints, np.ones((60, 16)), T0)
    inputs = settings_.inputs(gait.joints)
    assert inputs["posture"].shape == (1, 3, 48, 16, 1)
    assert inputs["movement"].shape == (1, 8, 48, 16, 1)
    step = inputs["posture"][0, :, 5] - inputs["posture"][0, :, 4]
    np.testing.assert_allclose(inputs["movement"][0, :3, 5], step, atol=1e-6)
    assert len(JOINTS) == inputs["posture"].shape[3]
