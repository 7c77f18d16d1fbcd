"""A real sound server with a tone in it: it plays, dies, comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zmq

from jack_stream.wire.codec import decode
from jack_stream.wire.messages import Audio, Health
from jack_stream.wire.receiver import Receiver
from tests.end_to_end.pulse import PulseServer, missing, write_tone

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

_RATE = 16000
_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[PulseServer]:
    if reason := missing():
        pytest.skip(reason)
    server = PulseServer(tmp_path)
    server.start()
    yield server
    server.kill()


@dataclass
class _Microphone:
    process: subprocess.Popen[bytes]
    receiver: Receiver
    health: zmq.Socket[bytes]

    def block(self, timeout_s: float = 15.0) -> Audio:
        message = self.receiver.get(timeout_s)
        assert isinstance(message, Audio), f"no sound in {timeout_s} s; {self.last_health()}"
        return message

    def last_health(self) -> Health | None:
        last = None
        while self.health.poll(0):
            last = decode(self.health.recv_multipart())
        assert last is None or isinstance(last, Health)
        return last

    def until_state(self, state: str, timeout_s: float = 15.0) -> Health:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.health.poll(100):
                health = decode(self.health.recv_multipart())
                assert isinstance(health, Health)
                if health.state == state:
                    return health
        raise AssertionError(f"not {state} in {timeout_s} s")

    def until_tone(self, hertz: float, timeout_s: float = 30.0) -> list[Audio]:
        """A second of blocks in which the tone is heard."""
        deadline = time.monotonic() + timeout_s
        blocks: list[Audio] = []
        while time.monotonic() < deadline:
            blocks = [*blocks, self.block()][-50:]
            if len(blocks) == 50 and abs(_frequency(blocks) - hertz) < 3 and _loud(blocks):
                return blocks
        raise AssertionError(f"no tone of {hertz} Hz in {timeout_s} s")


@contextmanager
def _capturing(pulse: PulseServer, tmp_path: Path) -> Iterator[_Microphone]:
    endpoint, health_endpoint = f"ipc://{tmp_path}/mic.ipc", f"ipc://{tmp_path}/health.ipc"
    script = Path(__file__).with_name("microphone_process.py")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    health = context.socket(zmq.PULL)
    health.bind(health_endpoint)
    process = subprocess.Popen(
        [sys.executable, str(script), endpoint, health_endpoint, str(_RATE)],
        env={**os.environ, **pulse.environment, "PYTHONPATH": str(_ROOT)},
    )
    try:
        with Receiver([endpoint], {"audio"}) as receiver:
            yield _Microphone(process, receiver, health)
    finally:
        process.kill()
        process.wait()
        health.close()
        context.term()


def test_a_tone_arrives_with_its_frequency_rate_and_time(
    pulse: PulseServer, tmp_path: Path
) -> None:
    write_tone(tmp_path / "tone.wav", 1000, 20)
    with _capturing(pulse, tmp_path) as microphone:
        microphone.block()
        pulse.play(tmp_path / "tone.wav")
        blocks = microphone.until_tone(1000)
        began = time.monotonic()
        blocks = [microphone.block() for _ in range(150)]
        assert time.monotonic() - began == pytest.approx(3.0, abs=0.5)
        assert {block.sample_rate for block in blocks} == {_RATE}
        assert {len(block.samples) for block in blocks} == {_RATE // 50}
        assert _frequency(blocks) == pytest.approx(1000, abs=1)
        times = np.array([block.stamp.captured_at_ns for block in blocks]) / 1e9
        follows = np.array([not block.discontinuity for block in blocks[1:]])
        assert follows.mean() > 0.9, "on a busy machine some sound may be lost, and is marked"
        assert np.diff(times)[follows] == pytest.approx(0.02, abs=0.002)
        assert 0 < time.time() - times[-1] < 1.0
        amplitude = max(float(np.abs(block.samples).max()) for block in blocks)
        assert amplitude == pytest.approx(0.5, abs=0.05)
        microphone.process.terminate()
        assert microphone.process.wait(3) == 0


def test_a_sound_server_that_dies_and_comes_back_is_used_again(
    pulse: PulseServer, tmp_path: Path
) -> None:
    write_tone(tmp_path / "tone.wav", 440, 60)
    with _capturing(pulse, tmp_path) as microphone:
        microphone.block()
        pulse.kill()
        lost = microphone.until_state("reconnecting")
        assert "microphone" in lost.detail
        pulse.start()
        pulse.play(tmp_path / "tone.wav")
        deadline = time.monotonic() + 30
        while not microphone.block(30).discontinuity:
            assert time.monotonic() < deadline, "nothing marked as following the loss"
        microphone.until_tone(440)
        assert microphone.until_state("running").counters["reconnects"] >= 1
        microphone.process.terminate()
        assert microphone.process.wait(3) == 0


def test_stop_does_not_wait_for_a_dead_sound_server(pulse: PulseServer, tmp_path: Path) -> None:
    with _capturing(pulse, tmp_path) as microphone:
        microphone.block()
        pulse.kill()
        microphone.until_state("reconnecting")
        microphone.process.terminate()
        assert microphone.process.wait(3) == 0


def test_silence_is_told(pulse: PulseServer, tmp_path: Path) -> None:
    with _capturing(pulse, tmp_path) as microphone:
        for _ in range(60):
            microphone.block()
        gauges = microphone.until_state("running").gauges
        while gauges["silent_s"] < 1:
            gauges = microphone.until_state("running").gauges
        assert gauges["level_dbfs"] < -90


def _frequency(blocks: list[Audio]) -> float:
    samples = np.concatenate([block.samples for block in blocks])
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * _RATE / len(samples))


def _loud(blocks: list[Audio]) -> bool:
    return all(float(np.abs(block.samples).max()) > 0.1 for block in blocks)
