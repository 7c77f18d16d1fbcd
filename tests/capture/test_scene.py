import threading

import numpy as np
import pytest

from jack_stream.capture.scene import FPS, STYLES, Scene, process
from jack_stream.capture.scene.walk import blend, landmarks, world_landmarks
from jack_stream.clock import NS_PER_S
from jack_stream.config import SceneSettings
from jack_stream.errors import UsageError
from jack_stream.testing import FakeClock
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import Audio, End, Frame, Message
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver

CYCLE = np.linspace(0, 2 * np.pi, 100, endpoint=False)
BONES = [(11, 13), (13, 15), (23, 25), (25, 27), (12, 14), (14, 16), (24, 26), (26, 28)]


@pytest.mark.parametrize("name", STYLES)
def test_bones_keep_their_length(name: str) -> None:
    points = landmarks(STYLES[name], CYCLE)
    assert points.shape == (100, 33, 3)
    for a, b in BONES:
        lengths = np.linalg.norm(points[:, a] - points[:, b], axis=1)
        assert np.ptp(lengths) < 1e-9
        assert 0.2 < lengths[0] < 0.45


@pytest.mark.parametrize("name", STYLES)
def test_a_foot_is_always_on_the_floor_and_none_below(name: str) -> None:
    lowest = landmarks(STYLES[name], CYCLE)[:, 29:33, 1].min(axis=1)
    assert lowest.min() > -1e-9
    assert lowest.max() <= 2 * STYLES[name].bounce + 1e-9


def test_the_right_side_does_what_the_left_does_half_a_cycle_later() -> None:
    style = STYLES["happy"]
    left, right = landmarks(style, CYCLE)[:, 11:33:2], landmarks(style, CYCLE + np.pi)[:, 12:33:2]
    np.testing.assert_allclose(left, right * [-1, 1, 1], atol=1e-9)


def _range_of(name: str, landmark: int, reference: int, axis: int) -> float:
    points = landmarks(STYLES[name], CYCLE)
    return float(np.ptp(points[:, landmark, axis] - points[:, reference, axis]))


def test_moods_differ_as_the_literature_says() -> None:
    swing = {name: _range_of(name, 15, 11, axis=2) for name in STYLES}
    assert swing["sad"] < swing["neutral"] < swing["happy"]
    stride = {name: _range_of(name, 27, 23, axis=2) for name in STYLES}
    assert stride["sad"] < stride["neutral"] < stride["angry"]
    head = {name: landmarks(STYLES[name], [0.0])[0, 0, 1] for name in STYLES}
    assert head["sad"] < head["neutral"] < head["happy"]
    jerk = {
        name: np.abs(np.diff(landmarks(style, CYCLE)[:, 15], 3, axis=0)).max() * style.cadence**3
        for name, style in STYLES.items()
    }
    assert max(jerk, key=lambda name: jerk[name]) == "angry"


def test_heading_turns_the_walker() -> None:
    points = landmarks(STYLES["neutral"], [0.0])
    towards, right = world_landmarks(points, 0.0)[0], world_landmarks(points, np.pi / 2)[0]
    assert towards[0, 2] < -0.05  # the nose is nearer to the camera than the hips
    assert towards[11, 0] > 0 > towards[12, 0]  # someone facing us has their left on our right
    assert towards[27, 1] > 0.6  # feet below the hips: y points down
    assert right[0, 0] > 0.05  # the nose points to the picture's right
    np.testing.assert_allclose(towards[[23, 24]].mean(axis=0), 0, atol=1e-12)


def test_blending_ends_at_both_manners() -> None:
    sad, angry = STYLES["sad"], STYLES["angry"]
    assert blend(sad, angry, 0.0) == sad
    assert blend(sad, angry, 1.0) == angry
    assert blend(sad, angry, 0.5).speed == pytest.approx((sad.speed + angry.speed) / 2)


def test_a_seed_gives_one_scene_and_another_seed_another() -> None:
    one, same, other = Scene(seed=3), Scene(seed=3), Scene(seed=4)
    np.testing.assert_array_equal(one.frame(5.2), same.frame(5.2))
    np.testing.assert_array_equal(one.samples(5, 6), same.samples(5, 6))
    assert (one.frame(5.2) != other.frame(5.2)).any()


def test_styles_take_turns_without_a_jump() -> None:
    scene = Scene(("happy", "sad", "angry"), seconds=12.0)
    assert [scene.style(t) for t in (0, 3.9, 4.9, 7.9, 8.9, 12)] == [
        *("happy", "happy", "sad", "sad", "angry", "angry")
    ]
    times = np.arange(0, 12, 1 / 200)
    places = np.stack([scene.keypoints(t)[1][:, :3] for t in times])
    assert np.abs(np.diff(places, axis=0)).max() < 0.06  # metres in 5 ms: no limb is that fast


def test_the_truth_lies_where_the_walker_is_drawn() -> None:
    scene = Scene()
    keypoints, _ = scene.keypoints(2.0)
    assert (keypoints[:, 3] == 1).all()
    x, y = (keypoints[11:13, :2].mean(axis=0) * [640, 480] + [0, 12]).astype(int)
    red, _, blue = scene.frame(2.0)[y, x].astype(int)
    assert blue > red + 40  # the blue shirt


def test_sound_joins_stays_in_range_and_goes_with_the_mood() -> None:
    scene = Scene()
    whole = scene.samples(0, 48)
    assert whole.dtype == np.float32
    assert np.abs(whole).max() < 1.0
    joined = np.concatenate([scene.samples(i / 50, (i + 1) / 50) for i in range(100)])
    np.testing.assert_array_equal(joined, whole[: len(joined)])
    loudness = {
        scene.style(t): float(np.std(whole[int(t * 44100) : int((t + 9) * 44100)]))
        for t in (2, 14, 26, 38)
    }
    assert loudness["sad"] < loudness["neutral"] < loudness["happy"] < loudness["angry"]


def test_steps_sound_when_a_heel_strikes() -> None:
    scene = Scene(("angry",), seconds=6.0)
    strikes = scene._sound.strikes
    phases = [scene.walk(t)[1] for t in strikes[:-1]]
    np.testing.assert_allclose(np.array(phases) / np.pi, np.arange(1, len(phases) + 1), atol=1e-6)


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(UsageError, match="bored"):
        Scene(("happy", "bored"))


def _play(seconds: float) -> list[Message]:
    settings = SceneSettings(styles=("happy", "sad"), seconds=seconds, pace="fast")
    clock, stop = FakeClock(9 * NS_PER_S), threading.Event()
    messages: list[Message] = []
    with (
        Publisher(
            "tcp://127.0.0.1:*", "demo", policy=Policy.LOSSLESS, clock=clock, wait_for=1
        ) as publisher,
        Receiver([publisher.endpoint], ["frame", "audio", "end"], policy=Policy.LOSSLESS) as inbox,
    ):
        health = HealthReporter("scene", "demo", clock=clock)
        player = threading.Thread(
            target=process.run,
            args=(settings, publisher),
            kwargs={"clock": clock, "stop": stop, "health": health},
        )
        player.start()
        while not messages or not isinstance(messages[-1], End):
            message = inbox.get(20)
            assert message is not None
            messages.append(message)
        player.join()
    assert health.last is not None
    assert health.last.state == "stopped"
    return messages


def test_the_process_publishes_picture_and_sound_on_one_line_then_the_end() -> None:
    messages = _play(1.0)
    frames = [m for m in messages if isinstance(m, Frame)]
    sound = [m for m in messages if isinstance(m, Audio)]
    assert [f.stamp.captured_at_ns for f in frames] == [
        9 * NS_PER_S + n * NS_PER_S // FPS for n in range(25)
    ]
    assert {m.stamp.origin_ns for m in messages} == {9 * NS_PER_S}
    assert [s.stamp.captured_at_ns for s in sound] == [
        9 * NS_PER_S + n * NS_PER_S // 50 for n in range(50)
    ]
    scene = Scene(("happy", "sad"), seconds=1.0)
    np.testing.assert_array_equal(np.concatenate([s.samples for s in sound]), scene.samples(0, 1))
    np.testing.assert_array_equal(frames[7].image, scene.frame(7 / FPS))
    assert messages[-1].stamp.captured_at_ns == 10 * NS_PER_S
