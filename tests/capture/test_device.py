"""Devices' own logic against stand-ins for OpenCV and the kernel: test machines have no camera."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from jack_stream.capture import devices
from jack_stream.capture.device import VideoDevice
from jack_stream.capture.devices import CameraDevice, list_cameras
from jack_stream.capture.resize import Resizer
from jack_stream.capture.samples import Picture
from jack_stream.clock import Clock
from jack_stream.errors import SourceError, SourceLostError


class _Capture:
    """Gives some pictures, then fails, as an unplugged camera does."""

    def __init__(self, pictures: int, *, opened: bool = True, age_s: float | None = None) -> None:
        self.asked: dict[int, float] = {}
        self.released = False
        self._left = pictures
        self._opened = opened
        self._age_s = age_s

    def __call__(self, _device: int | str, backend: int) -> _Capture:
        assert backend == cv2.CAP_V4L2
        return self

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return self._opened

    def set(self, name: int, value: float) -> bool:
        self.asked[name] = value
        return True

    def get(self, name: int) -> float:
        assert name == cv2.CAP_PROP_POS_MSEC
        return 0.0 if self._age_s is None else (time.monotonic() - self._age_s) * 1000

    def read(self) -> tuple[bool, Any]:
        if not self._left:
            return False, None
        self._left -= 1
        image = np.zeros((48, 64, 3), np.uint8)
        image[:, :, 2] = 255  # blue first: red
        return True, image

    def release(self) -> None:
        self.released = True


def _samples(capture: _Capture, counters: Counter[str] | None = None) -> list[Picture]:
    device = VideoDevice(0, Resizer(32), 30, open_capture=capture)
    found: list[Picture] = []
    with pytest.raises(SourceLostError):  # noqa: PT012 (reads to the end)
        for sample in device.samples(Clock(), Counter() if counters is None else counters):
            assert isinstance(sample, Picture)
            found.append(sample)
    return found


def test_pictures_are_red_green_blue_and_small() -> None:
    capture = _Capture(1)
    (picture,) = _samples(capture)
    assert picture.image.shape == (24, 32, 3)
    assert picture.image[0, 0].tolist() == [255, 0, 0]
    assert picture.source_size == (64, 48)
    assert picture.origin_ns == 0
    assert capture.released
    assert capture.asked[cv2.CAP_PROP_FRAME_WIDTH] == 32
    assert capture.asked[cv2.CAP_PROP_FPS] == 30


@pytest.mark.parametrize(("age_s", "expected"), [(None, 0), (0.25, 0.25), (5.0, 0), (-3.0, 0)])
def test_the_drivers_time_counts_where_it_is_ours(age_s: float | None, expected: float) -> None:
    (picture,) = _samples(_Capture(1, age_s=age_s))
    assert (time.time_ns() - picture.captured_at_ns) / 1e9 == pytest.approx(expected, abs=0.15)


def test_an_offset_is_taken_off_a_pictures_time() -> None:
    device = VideoDevice(0, Resizer(32), 30, 400_000_000, open_capture=_Capture(1, age_s=0.1))
    picture = next(device.samples(Clock(), Counter()))
    assert (time.time_ns() - picture.captured_at_ns) / 1e9 == pytest.approx(0.5, abs=0.15)


def test_an_unplugged_camera_is_lost_and_not_absent() -> None:
    counters: Counter[str] = Counter()
    _samples(_Capture(1), counters)
    _samples(_Capture(0, opened=False), counters)  # not back yet


def test_a_camera_that_never_was_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [CameraDevice(4, "/dev/video4", "Desk camera")]
    monkeypatch.setattr("jack_stream.capture.device.list_cameras", lambda: present)
    device = VideoDevice(77, Resizer(32), open_capture=_Capture(0, opened=False))
    with pytest.raises(SourceError) as caught:
        next(device.samples(Clock(), Counter()))
    assert not isinstance(caught.value, SourceLostError)
    assert "/dev/video77" in str(caught.value)
    assert "4 (Desk camera)" in str(caught.value)


def test_the_real_opencv_says_that_there_is_no_such_device() -> None:
    with pytest.raises(SourceError, match="/dev/video63"):
        next(VideoDevice(63, Resizer(32)).samples(Clock(), Counter()))


def test_cameras_are_listed_and_their_problems_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs, dev = tmp_path / "sys", tmp_path / "dev"
    dev.mkdir()
    for number in (10, 2, 3, 4):
        folder = sysfs / f"video{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"Camera {number}\n")
        if number != 4:
            (dev / f"video{number}").touch()
    capabilities = iter([devices._VIDEO_CAPTURE, 0x2, devices._VIDEO_CAPTURE_MPLANE])

    def ioctl(_descriptor: int, request: int, _buffer: bytes) -> bytes:
        assert request == devices._QUERYCAP
        own = next(capabilities)
        return devices._CAPABILITY.pack(b"uvc", b"card", b"usb", 1, 0x84A00001, own)

    monkeypatch.setattr("jack_stream.capture.devices.fcntl.ioctl", ioctl)
    found = list_cameras(sysfs, dev)
    assert len(found) == 3  # one of the four is a metadata node
    assert [camera.index for camera in found] == sorted(camera.index for camera in found)
    (absent,) = [camera for camera in found if camera.index == 4]
    assert "No such file" in absent.problem
    assert all(camera.name == f"Camera {camera.index}" for camera in found)


def test_what_is_no_camera_is_asked_in_vain(tmp_path: Path) -> None:
    (tmp_path / "sys" / "video0").mkdir(parents=True)
    (tmp_path / "sys" / "video0" / "name").write_text("A file")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video0").touch()
    (camera,) = list_cameras(tmp_path / "sys", tmp_path / "dev")
    assert "ioctl" in camera.problem.lower()


def test_a_machine_without_cameras_has_none(tmp_path: Path) -> None:
    assert list_cameras(tmp_path / "absent", tmp_path) == []
