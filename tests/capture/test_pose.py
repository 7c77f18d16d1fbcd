"""The pose process on drawn walkers, and on real footage where that is at hand."""

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.pose import Person, PoseTracker
from jack_stream.capture.pose.process import run
from jack_stream.capture.scene import FPS, Scene
from jack_stream.clock import NS_PER_S
from jack_stream.config import PoseSettings
from jack_stream.testing import FakeClock
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import End, Poses
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver

Picture = tuple[int, NDArray[np.uint8]]


def _track(pictures: Iterator[Picture], max_persons: int = 4) -> list[list[Person]]:
    tracker = PoseTracker(max_persons)
    try:
        return [tracker.step(image, at_ns) for at_ns, image in pictures]
    finally:
        tracker.close()


def _drawn(frames: int, style: str = "happy") -> Iterator[Picture]:
    scene = Scene((style,), seconds=20.0)
    return ((n * NS_PER_S // FPS, scene.frame(n / FPS)) for n in range(frames))


def _filmed(path: Path, start: int, end: int) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for frame in islice(container.decode(video=0), start, end):
            image = frame.to_ndarray(format="rgb24")
            size = (640, round(640 * image.shape[0] / image.shape[1]))
            at_ns = round(frame.pts * frame.time_base * NS_PER_S)
            yield at_ns, cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def test_the_drawn_walker_is_found_where_it_is() -> None:
    scene = Scene(("happy",), seconds=20.0)
    found = _track(_drawn(40))
    assert all(len(people) == 1 for people in found[15:])
    assert {person.id for people in found for person in people} == {1}
    for number in range(15, 40):
        truth, world = scene.keypoints(number / FPS)
        seen = found[number][0].landmarks
        body = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
        off = np.linalg.norm((seen.keypoints[body, :2] - truth[body, :2]) * [640, 480], axis=1)
        assert off.mean() < 20  # pixels, of a walker of 300
        assert np.abs(seen.world[body, :3] - world[body, :3]).mean() < 0.15


def test_the_same_frames_give_the_same_poses() -> None:
    one, two = (_track(_drawn(25)) for _ in range(2))
    assert [len(people) for people in one] == [len(people) for people in two]
    for people, others in zip(one, two, strict=True):
        for person, other in zip(people, others, strict=True):
            assert (person.id, person.score) == (other.id, other.score)
            np.testing.assert_array_equal(person.landmarks.world, other.landmarks.world)


def test_a_picture_of_a_person_is_no_person() -> None:
    still = Scene().frame(1.0)
    assert not any(_track((n * NS_PER_S // FPS, still) for n in range(30)))


def test_time_that_goes_back_starts_over() -> None:
    pictures = [*_drawn(20), *_drawn(20)]
    found = _track(iter(pictures))
    assert found[19]
    assert not found[20]
    assert found[39]


def test_an_empty_room_with_a_table_is_empty(shared: Path) -> None:
    footage = shared / "data/footage/one-by-one-person-detection.mp4"
    assert not any(_track(_filmed(footage, 0, 58)))
    # Here a man walks out, and the table that he hid is still no person.
    found = _track(_filmed(footage, 425, 490))
    assert all(len(people) == 1 for people in found[5:15])
    assert not any(found[24:])


def test_someone_who_walks_in_is_one_person(shared: Path) -> None:
    footage = shared / "data/footage/one-by-one-person-detection.mp4"
    found = _track(_filmed(footage, 221, 280))  # the head comes in at frame 227
    assert [len(people) for people in found[12:]] == [1] * 47
    assert {person.id for people in found for person in people} == {1}


def test_signers_have_no_legs_to_be_seen(shared: Path) -> None:
    found = _track(_filmed(shared / "data/footage/asl_walk.mkv", 0, 45))
    assert all(len(people) == 1 for people in found[15:])
    for people in found[15:]:
        assert (people[0].landmarks.keypoints[[25, 26, 27, 28], 3] < 0.5).all()
        assert (people[0].landmarks.keypoints[[11, 12, 13, 14], 3] > 0.5).all()


def test_three_people_side_by_side_are_three(shared: Path) -> None:
    names = ("asl_hungry.mkv", "asl_sorry.mkv", "asl_walk.mkv")
    clips = [_filmed(shared / "data/footage" / name, 0, 48) for name in names]
    together = [
        (pictures[0][0], np.hstack([p[1][::2, 120:520:2] for p in pictures]))
        for pictures in zip(*clips, strict=True)
    ]
    found = _track(iter(together))
    assert [len(people) for people in found[35:]] == [3] * 13
    assert {person.id for people in found for person in people} == {1, 2, 3}
    places = sorted(float(p.landmarks.keypoints[0, 0]) for p in found[-1])
    assert [int(x * 3) for x in places] == [0, 1, 2]


def test_the_process_answers_every_frame_and_passes_on_the_end() -> None:
    clock, stop = FakeClock(), threading.Event()
    lossless = Policy.LOSSLESS
    with (
        Publisher("tcp://127.0.0.1:*", "a", policy=lossless, clock=clock, wait_for=1) as camera,
        Publisher("tcp://127.0.0.1:*", "a", policy=lossless, clock=clock, wait_for=1) as poses,
        Receiver([poses.endpoint], ["pose", "end"], policy=lossless) as inbox,
    ):
        health = HealthReporter("pose.a", "a", clock=clock)
        process = threading.Thread(
            target=run,
            args=(PoseSettings(max_persons=1), camera.endpoint, poses),
            kwargs={"clock": clock, "stop": stop, "health": health},
        )
        process.start()
        assert camera.wait_for_receivers(stop)
        assert poses.wait_for_receivers(stop)
        for at_ns, image in _drawn(16):
            camera.frame(image, 1000 + at_ns, origin_ns=1000)
        camera.end("end of file", 2000, origin_ns=1000)
        got = [inbox.get(60) for _ in range(17)]
        process.join(10)
    answers = [m for m in got if isinstance(m, Poses)]
    assert [m.stamp.captured_at_ns for m in answers] == [1000 + at for at, _ in _drawn(16)]
    assert answers[0].keypoints.shape == (0, 33, 4)
    assert answers[-1].keypoints.shape == answers[-1].world.shape == (1, 33, 4)
    assert answers[-1].ids == (1,)
    assert answers[-1].frame_size == (640, 480)
    assert {m.stamp.origin_ns for m in answers} == {1000}
    assert isinstance(got[-1], End)
    assert got[-1].reason == "end of file"
    assert health.last is not None
    assert health.last.state == "stopped"
    assert health.last.counters["frames"] == 16
