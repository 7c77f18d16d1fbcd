"""What is decided about landmarks and regions, without MediaPipe."""

import dataclasses

import numpy as np
import pytest

from jack_stream.capture.pose.landmarks import Box, Landmarks
from jack_stream.capture.pose.plausibility import (
    Thresholds,
    certainty,
    implausible,
    trunk_length,
)
from jack_stream.capture.pose.regions import Motion, body_below
from jack_stream.capture.scene import Scene

SIZE = (640, 480)


@pytest.fixture(scope="module")
def walker() -> Landmarks:
    return Landmarks(*Scene().keypoints(3.0))


def _changed(
    walker: Landmarks, scale: float = 1.0, turn: float = 0.0, **visibility: float
) -> Landmarks:
    keypoints = walker.keypoints.copy()
    centre = keypoints[:, :2].mean(axis=0)
    pixels = (keypoints[:, :2] - centre) * SIZE * scale
    c, s = np.cos(turn), np.sin(turn)
    keypoints[:, :2] = pixels @ np.array([[c, s], [-s, c]]) / SIZE + centre
    keypoints[:, 3] = visibility.get("visibility", 1.0)
    return dataclasses.replace(walker, keypoints=keypoints.astype(np.float32))


def test_a_walker_is_plausible(walker: Landmarks) -> None:
    assert implausible(walker, *SIZE, Thresholds()) is None
    assert certainty(walker) == pytest.approx(1.0)
    assert 60 < trunk_length(walker, *SIZE) < 120


def test_what_is_small_faint_lying_or_upside_down_is_not(walker: Landmarks) -> None:
    reasons = {
        "small": _changed(walker, scale=0.2),
        "faint": _changed(walker, visibility=0.4),
        "lying": _changed(walker, turn=np.pi / 2),
    }
    for reason, landmarks in reasons.items():
        assert implausible(landmarks, *SIZE, Thresholds()) == reason
    assert implausible(_changed(walker, turn=np.pi), *SIZE, Thresholds()) == "lying"
    assert implausible(_changed(walker, turn=np.pi / 6), *SIZE, Thresholds()) is None


@pytest.mark.parametrize(("landmark", "by"), [(27, 0.4), (15, 0.6), (0, -0.5)])
def test_limbs_and_heads_too_far_away_are_no_persons(
    walker: Landmarks, landmark: int, by: float
) -> None:
    keypoints = walker.keypoints.copy()
    moved = slice(0, 11) if landmark == 0 else slice(landmark, landmark + 1)
    keypoints[moved, 0] += by
    stretched = dataclasses.replace(walker, keypoints=keypoints)
    assert implausible(stretched, *SIZE, Thresholds()) == "proportions"


def test_a_face_alone_is_enough(walker: Landmarks) -> None:
    keypoints = walker.keypoints.copy()
    keypoints[:11, :2] = (keypoints[:11, :2] - keypoints[0, :2]) * 8 + 0.5
    keypoints[11:, 3] = 0
    assert (
        implausible(dataclasses.replace(walker, keypoints=keypoints), *SIZE, Thresholds()) is None
    )


def test_boxes() -> None:
    box = Box(10, 20, 30, 60)
    assert (box.width, box.height, box.area) == (20, 40, 800)
    assert box.grown(0.5) == Box(0, 0, 40, 80)
    assert box.shared(Box(20, 0, 50, 30)) == 100
    assert box.shared(Box(31, 0, 50, 30)) == 0
    assert box.grown(0.5).slices(50, 30) == (slice(0, 50), slice(0, 30))
    body = body_below(Box(100, 50, 120, 75))
    assert body.shared(Box(100, 50, 120, 75)) == 500
    assert body.bottom > 250


def test_only_what_moves_is_marked() -> None:
    rng = np.random.default_rng(0)
    room = rng.integers(90, 110, (480, 640, 3), dtype=np.uint8)
    motion = Motion()
    for step in range(10):
        picture = room.copy()
        picture[200:400, 40 * step : 40 * step + 80] = 250
        motion.update(picture, step * 100_000_000)
    now = Box(360, 200, 440, 400)
    assert any(found.shared(now) == now.area for found in motion.boxes())
    assert motion.share(now) > 0.9
    assert motion.share(Box(0, 0, 640, 150)) == 0
    for step in range(10, 16):
        motion.update(room, step * 100_000_000)
    assert motion.boxes() == []
