"""What browsers see: the newest picture, skeletons on their own picture, no face."""

from __future__ import annotations

import json
import struct
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from jack_stream.clock import Clock
from jack_stream.testing import Scene
from jack_stream.view.page.looking import Look, Looking, jpeg
from jack_stream.view.page.pictures import Pictures, Rendition, pack
from jack_stream.wire.messages import Frame, Poses, Stamp
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher

WAIT_S = 10.0


class _Seen:
    """Waits until a stream shows what it should."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.looking: Looking | None = None

    def __call__(self, _: str) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait(self, at_ns: int) -> Look:
        def shown() -> bool:
            look = self.looking.newest("door") if self.looking else None
            return look is not None and look.frame.stamp.captured_at_ns == at_ns

        with self._changed:
            assert self._changed.wait_for(shown, WAIT_S)
        assert self.looking is not None
        look = self.looking.newest("door")
        assert look is not None
        return look


def _picture(value: int) -> NDArray[np.uint8]:
    return np.full((48, 64, 3), value, np.uint8)


def test_skeletons_are_shown_on_the_picture_that_they_were_found_in(tmp_path: Path) -> None:
    clock, seen, stop = Clock(), _Seen(), threading.Event()
    frames, poses = (f"ipc://{tmp_path}/{name}" for name in ("frames", "poses"))
    keypoints, world = Scene(("happy",), seconds=5).keypoints(1.0)
    with (
        Publisher(frames, "door", policy=Policy.LIVE, clock=clock) as camera,
        Publisher(poses, "door", policy=Policy.LIVE, clock=clock) as finder,
    ):
        seen.looking = Looking({"door": [frames, poses]}, frozenset({"door"}), seen)
        try:
            now_ns = clock.now_ns()
            while seen.looking.newest("door") is None:  # until the subscription is there
                camera.frame(_picture(1), now_ns)
                stop.wait(0.02)
            camera.frame(_picture(2), now_ns + 1000)
            camera.frame(_picture(3), now_ns + 2000)
            shown = None
            while shown is None or shown.poses is None:
                finder.poses(
                    [7], [1.0], keypoints[None], world[None], now_ns + 1000, frame_size=(64, 48)
                )
                stop.wait(0.02)
                shown = seen.looking.newest("door")
            look = seen.wait(now_ns + 1000)
            assert look.frame.image[0, 0, 0] == 2
            assert look.poses is not None
            assert look.poses.ids == (7,)
            tone = 0.5 * np.sin(np.arange(882) / 10).astype(np.float32)
            while (level := seen.looking.levels()["door"]) < -80:
                camera.audio(tone, 44100, clock.now_ns())
                stop.wait(0.02)
            assert level == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.3)
        finally:
            seen.looking.close()


def _look(image: NDArray[np.uint8]) -> Look:
    stamp = Stamp("door", 3, 1_700_000_000_123_456_789, "cafe0001")
    keypoints, world = Scene(("happy",), seconds=5).keypoints(1.0)
    poses = Poses(stamp, (7,), (1.0,), keypoints[None], world[None], (640, 480))
    return Look(Frame(stamp, image, (640, 480)), poses)


def _unpacked(message: bytes) -> tuple[dict[str, object], NDArray[np.uint8]]:
    (length,) = struct.unpack_from("<I", message)
    image = cv2.imdecode(np.frombuffer(message[4 + length :], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return json.loads(message[4 : 4 + length]), np.asarray(image, np.uint8)


def test_a_message_has_header_and_picture() -> None:
    look = _look(_picture(200))
    header, image = _unpacked(pack("door", look, jpeg(look.frame.image, 32, 80)))
    assert header["stream"] == "door"
    assert header["at_ns"] == "1700000000123456789"  # more digits than a JavaScript number has
    assert header["size"] == [64, 48]
    people = header["people"]
    assert isinstance(people, list)
    assert people[0]["id"] == 7
    assert np.shape(people[0]["points"]) == (33, 3)
    assert image.shape == (24, 32, 3)


def test_heads_of_known_poses_are_covered_even_where_no_face_is_found() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (480, 640, 3), np.uint8)
    look = _look(noise)
    assert look.poses is not None
    head = look.poses.keypoints[0, :11, :2] * (640, 480)
    message = Pictures(lambda image: image.copy()).render("door", look, Rendition(640, 95))
    _, shown = _unpacked(message)
    for x, y in head.astype(int):
        assert shown[y - 2 : y + 3, x - 2 : x + 3].std() < 8
    feet = (look.poses.keypoints[0, 29:33, :2] * (640, 480)).astype(int)
    assert all(shown[y - 4 : y + 5, x - 4 : x + 5].std() > 30 for x, y in feet if y < 475)
    assert (look.frame.image == noise).all()  # others see the same array


def test_faces_are_shown_only_when_asked_for() -> None:
    rng = np.random.default_rng(0)
    look = _look(rng.integers(0, 256, (480, 640, 3), np.uint8))
    asked = _unpacked(Pictures(None).render("door", look, Rendition(640, 95)))[1]
    hidden = _unpacked(Pictures(np.copy).render("door", look, Rendition(640, 95)))[1]
    assert (asked != hidden).any()
