"""A real RTSP server on loopback: it plays, dies, comes back, stalls."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jack_stream.capture import camera, microphone
from jack_stream.config import CameraSettings, MicrophoneSettings
from jack_stream.wire.messages import Audio, Frame
from jack_stream.wire.policy import Policy
from tests.capture.running import Running, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

_PYTHON = "/usr/bin/python3"
_SERVER = Path(__file__).with_name("rtsp_server.py")
_NEEDED = """
import gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [n for n in ("x264enc", "avenc_aac", "rtph264pay") if not Gst.ElementFactory.find(n)]
raise SystemExit(f"GStreamer lacks {missing}" if missing else 0)
"""


class Server:
    """The server's process on a port of its own."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [_PYTHON, str(_SERVER), str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@pytest.fixture(scope="module")
def _gstreamer() -> None:
    if not Path(_PYTHON).exists():
        pytest.skip(f"needs {_PYTHON}")
    found = subprocess.run(
        [_PYTHON, "-c", _NEEDED], capture_output=True, timeout=60, check=False, text=True
    )
    if found.returncode:
        reason = found.stderr.strip().splitlines()[-1:] or ["GStreamer's RTSP server is missing"]
        pytest.skip(f"needs gir1.2-gst-rtsp-server-1.0 and GStreamer's plugins: {reason[0]}")


@pytest.fixture
def server(_gstreamer: None) -> Iterator[Server]:
    server = Server()
    server.start()
    yield server
    server.kill()


def _settings(server: Server) -> CameraSettings:
    return CameraSettings(
        source=server.url,
        width=160,
        sample_rate=16000,
        open_timeout_s=5,
        read_timeout_s=2,
        reconnect_first_s=0.2,
        reconnect_max_s=1,
    )


def _next_session(source: Running, timeout_s: float) -> Frame:
    """The next frame that is marked as following a loss."""
    frame = source.until(lambda m: isinstance(m, Frame) and m.discontinuity, timeout_s)
    assert isinstance(frame, Frame)
    return frame


def test_frames_are_fresh_and_sound_comes_with_them(server: Server, tmp_path: Path) -> None:
    with running(camera.run, _settings(server), tmp_path, policy=Policy.LIVE) as source:
        first = source.get(Frame, 20)
        assert first.image.shape == (120, 160, 3)
        assert first.source_size == (320, 240)
        assert first.stamp.origin_ns == 0
        assert not first.discontinuity
        frames: list[Frame] = [first]
        blocks: list[Audio] = []
        while len(frames) < 75 or len(blocks) < 100:
            message = source.until(lambda m: isinstance(m, Frame | Audio))
            if isinstance(message, Frame):
                frames.append(message)
            elif isinstance(message, Audio):
                blocks.append(message)
        times = np.array([frame.stamp.captured_at_ns for frame in frames[10:]]) / 1e9
        assert np.all(np.diff(times) > 0)
        assert np.median(np.diff(times)) == pytest.approx(1 / 25, abs=0.004)
        age_s = time.time() - frames[-1].stamp.captured_at_ns / 1e9
        assert -0.05 < age_s < 0.5
        assert _frequency(blocks[50:]) == pytest.approx(440, abs=3)
        skew_s = (blocks[-1].stamp.captured_at_ns - frames[-1].stamp.captured_at_ns) / 1e9
        assert abs(skew_s) < 0.5
        assert source.finish(1.0) < 1.0


def test_a_server_that_is_killed_and_comes_back_is_used_again(
    server: Server, tmp_path: Path
) -> None:
    with running(camera.run, _settings(server), tmp_path, policy=Policy.LIVE) as source:
        before = source.get(Frame, 20)
        server.kill()
        lost = source.until_state("reconnecting")
        assert str(server.port) in lost.detail
        server.start()
        frame = _next_session(source, 20)
        assert frame.stamp.captured_at_ns > before.stamp.captured_at_ns
        assert frame.stamp.session == before.stamp.session
        assert not source.get(Frame).discontinuity
        assert source.until_state("running").counters["reconnects"] >= 1


def test_a_server_that_stalls_is_left_and_found_again(server: Server, tmp_path: Path) -> None:
    with running(camera.run, _settings(server), tmp_path, policy=Policy.LIVE) as source:
        source.get(Frame, 20)
        server.signal(signal.SIGSTOP)
        began = time.monotonic()
        source.until_state("reconnecting", 10)
        assert time.monotonic() - began < 5  # the read time-out is 2 s
        server.signal(signal.SIGCONT)
        _next_session(source, 20)


def test_stop_does_not_wait_for_a_server_that_stalls(server: Server, tmp_path: Path) -> None:
    settings = _settings(server).model_copy(update={"read_timeout_s": 60.0})
    with running(camera.run, settings, tmp_path, policy=Policy.LIVE) as source:
        source.get(Frame, 20)
        server.signal(signal.SIGSTOP)
        try:
            source.receiver.get(0.5)
            assert source.finish(1.0) < 1.0
        finally:
            server.signal(signal.SIGCONT)


def test_a_microphone_may_be_an_address(server: Server, tmp_path: Path) -> None:
    settings = MicrophoneSettings(device=server.url, sample_rate=16000)
    with running(microphone.run, settings, tmp_path, policy=Policy.LIVE) as source:
        blocks = [source.get(Audio, 20) for _ in range(100)]
        assert _frequency(blocks[20:]) == pytest.approx(440, abs=3)


def _frequency(blocks: list[Audio]) -> float:
    """The loudest frequency of some blocks, in hertz."""
    samples = np.concatenate([block.samples for block in blocks])
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * blocks[0].sample_rate / len(samples))
