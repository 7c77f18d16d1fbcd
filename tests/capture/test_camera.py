"""The capture processes' functions, from a file to a receiver."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jack_stream.capture import camera, microphone
from jack_stream.capture.device import VideoDevice
from jack_stream.capture.images import ImageFolder
from jack_stream.capture.medium import Medium
from jack_stream.capture.sound_device import SoundDevice
from jack_stream.config import CameraSettings, MicrophoneSettings
from jack_stream.errors import SourceError
from jack_stream.wire.messages import Audio, End, Frame
from jack_stream.wire.policy import Policy
from tests.capture.media_files import beeps, number_of, write_video
from tests.capture.running import running


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address at which connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"rtsp://user:secret@127.0.0.1:{listener.getsockname()[1]}/live"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("0", VideoDevice),
        ("/dev/video2", VideoDevice),
        ("rtsp://camera/live", Medium),
        ("film.mp4", Medium),
        ("file:///films/film.mp4", Medium),
        (".", ImageFolder),
    ],
)
def test_a_source_is_what_it_looks_like(source: str, kind: type) -> None:
    found = camera.open_source(CameraSettings(source=source), {})
    assert isinstance(found, kind)
    assert not (isinstance(found, Medium) and found.source.startswith("file:"))


def test_a_microphone_is_a_device_a_file_or_an_address(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    for device, kind in [
        (None, SoundDevice),
        ("USB", SoundDevice),
        ("3", SoundDevice),
        (str(tmp_path / "a.wav"), Medium),
        ("http://camera/sound", Medium),
    ]:
        assert isinstance(microphone.open_source(MicrophoneSettings(device=device), {}), kind)


def test_nothing_of_a_file_is_lost(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=75, sound=beeps(3))
    settings = CameraSettings(source=str(path), width=64, pace="fast", sample_rate=16000)
    with running(camera.run, settings, tmp_path) as source:
        messages = source.all()
        frames = [m for m in messages if isinstance(m, Frame)]
        sound = [m for m in messages if isinstance(m, Audio)]
        assert [number_of(frame.image) for frame in frames] == list(range(75))
        assert [frame.stamp.seq for frame in frames] == list(range(75))
        assert sum(len(block.samples) for block in sound) == 48000
        origins = {message.stamp.origin_ns for message in messages}
        assert len(origins) == 1
        end = messages[-1]
        assert isinstance(end, End)
        assert (end.stamp.captured_at_ns - end.stamp.origin_ns) / 1e9 == pytest.approx(3, abs=0.01)
        source.thread.join(5)
        health = source.health.last
        assert health is not None
        assert health.state == "stopped"
        assert health.counters["frames"] == 75
        assert health.counters["audio_blocks"] == len(sound)


def test_real_time_is_the_files_own(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=50)
    settings = CameraSettings(source=str(path), width=64)
    with running(camera.run, settings, tmp_path) as source:
        arrivals: list[float] = []
        while len(arrivals) < 50:
            frame = source.get(Frame)
            arrivals.append(time.time() - frame.stamp.captured_at_ns / 1e9)
        assert min(arrivals) > -0.005  # never before its time
        assert np.median(arrivals) < 0.1
        assert source.health.last is not None
        assert source.health.last.gauges["fps"] == pytest.approx(25, rel=0.25)


def test_the_same_file_gives_the_same_stamps_at_either_pace(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=25, sound=beeps(1))

    def stamps(pace: str) -> list[tuple[str, int, int]]:
        settings = CameraSettings.model_validate(
            {"source": str(path), "width": 64, "pace": pace, "sample_rate": 16000}
        )
        with running(camera.run, settings, tmp_path, stream=pace) as source:
            return [
                (type(m).__name__, m.stamp.seq, m.stamp.captured_at_ns - m.stamp.origin_ns)
                for m in source.all()
            ]

    fast, real = stamps("fast"), stamps("realtime")
    assert sorted(fast) == sorted(real)
    assert len(fast) == 25 + 50 + 1


@pytest.mark.parametrize("name", ["absent.mp4", "broken.mp4"])
def test_a_bad_file_is_an_error_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    settings = CameraSettings(source=str(tmp_path / name))
    with (
        running(camera.run, settings, tmp_path) as source,
        pytest.raises(SourceError, match=name),
    ):
        source.all(10)


@pytest.mark.parametrize("pace", ["fast", "realtime"])
def test_stop_is_heard_at_once(tmp_path: Path, pace: str) -> None:
    path = write_video(tmp_path / "a.mkv", frames=50)
    settings = CameraSettings.model_validate(
        {"source": str(path), "width": 64, "loop": True, "pace": pace}
    )
    with running(camera.run, settings, tmp_path, policy=Policy.LIVE) as source:
        source.get(Frame)
        assert source.finish(1.0) < 1.0
        assert source.health.last is not None
        assert source.health.last.state == "stopped"


def test_stop_is_heard_while_a_receiver_is_full(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=50)
    settings = CameraSettings(source=str(path), width=64, loop=True, pace="fast")
    with running(camera.run, settings, tmp_path, policy=Policy.LOSSLESS) as source:
        source.get(Frame)
        sent, now = -1, 0
        while not 0 < now == sent:  # until nothing moves any more
            source.stop.wait(0.3)
            last = source.health.last
            sent, now = now, last.counters.get("frames", 0) if last else 0
        assert source.finish(1.0) < 1.0


def test_stop_is_heard_while_an_address_does_not_answer(
    tmp_path: Path, silent_address: str
) -> None:
    settings = CameraSettings(source=silent_address, open_timeout_s=60)
    with running(camera.run, settings, tmp_path) as source:
        source.until_state("starting")
        assert source.finish(1.0) < 1.0


def test_an_address_that_does_not_answer_is_tried_again(
    tmp_path: Path, silent_address: str
) -> None:
    settings = CameraSettings(
        source=silent_address, open_timeout_s=0.3, reconnect_first_s=0.05, reconnect_max_s=0.1
    )
    with running(camera.run, settings, tmp_path) as source:
        health = source.until_state("reconnecting")
        assert "user:secret" not in health.detail
        deadline = time.monotonic() + 10
        while (source.health.last or health).counters["reconnects"] < 3:
            assert time.monotonic() < deadline
            source.receiver.get(0.05)


def test_a_files_sound_is_a_microphone(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=50, sound=beeps(2))
    settings = MicrophoneSettings(device=str(path), sample_rate=16000, pace="fast")
    with running(microphone.run, settings, tmp_path) as source:
        messages = source.all()
    assert not any(isinstance(message, Frame) for message in messages)
    assert sum(len(m.samples) for m in messages if isinstance(m, Audio)) == 32000
