"""Microphones' own logic against a stand-in for PortAudio; tests/end_to_end has the real one."""

from __future__ import annotations

import builtins
import sys
import time
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jack_stream.capture import portaudio
from jack_stream.capture.devices import list_microphones
from jack_stream.capture.sample_clock import SampleClock
from jack_stream.capture.samples import Sound
from jack_stream.capture.sound_device import SoundDevice, find_microphone
from jack_stream.capture.soundtrack import SoundWanted
from jack_stream.clock import Clock
from jack_stream.errors import MissingDependencyError, SourceError, SourceLostError

_RATE = 48000
_DEVICES = [
    {"name": "HDMI", "max_input_channels": 0, "default_samplerate": 48000.0, "hostapi": 0},
    {
        "name": "Desk microphone",
        "max_input_channels": 2,
        "default_samplerate": 48000.0,
        "hostapi": 0,
    },
    {
        "name": "Webcam microphone",
        "max_input_channels": 1,
        "default_samplerate": 48000.0,
        "hostapi": 0,
    },
]


class _PortAudioError(Exception):
    pass


class _PortAudio:
    """Calls back with given chunks when a stream starts, then falls silent."""

    PortAudioError = _PortAudioError
    default = SimpleNamespace(device=(1, 0))

    def __init__(self, chunks: list[NDArray[np.float32]], *, overflow_at: int = -1) -> None:
        self.restarts = 0
        self.devices: list[dict[str, Any]] = list(_DEVICES)
        self._chunks = chunks
        self._overflow_at = overflow_at

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}]

    def query_devices(self, index: int | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return self.devices
        return self.devices[1 if index is None else index]

    def _terminate(self) -> None:
        self.restarts += 1

    def _initialize(self) -> None:
        pass

    def InputStream(self, *, callback: Callable[..., None], **wanted: Any) -> Any:  # noqa: N802
        chunks, overflow_at = self._chunks, self._overflow_at

        class Stream:
            samplerate = wanted["samplerate"]

            def __enter__(self) -> Stream:
                for number, chunk in enumerate(chunks):
                    age = 0.05 + (len(chunks) - 1 - number) * len(chunk) / _RATE
                    callback(
                        np.repeat(chunk[:, None], wanted["channels"], axis=1),
                        len(chunk),
                        SimpleNamespace(currentTime=100.0, inputBufferAdcTime=100.0 - age),
                        SimpleNamespace(input_overflow=number == overflow_at),
                    )
                return self

            def __exit__(self, *_: object) -> None:
                pass

        return Stream()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jack_stream.capture.sound_device._VANISHED_S", 0.05)


def _use(monkeypatch: pytest.MonkeyPatch, stand_in: _PortAudio) -> None:
    monkeypatch.setattr("jack_stream.capture.sound_device.load_portaudio", lambda: stand_in)


def _heard(
    device: SoundDevice, counters: Counter[str], error: type[SourceError] = SourceLostError
) -> list[Sound]:
    found: list[Sound] = []
    with pytest.raises(error):  # noqa: PT012 (reads to the end)
        for sample in device.samples(Clock(), counters):
            assert isinstance(sample, Sound)
            found.append(sample)
    return found


def _tone(chunks: int, level: float = 0.5) -> list[NDArray[np.float32]]:
    times = np.arange(chunks * 960) / _RATE
    tone = (level * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    return list(tone.reshape(chunks, 960))


def test_blocks_have_the_time_at_which_the_sound_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, _PortAudio(_tone(10)))
    before_ns = time.time_ns()
    sounds = _heard(SoundDevice("desk", SoundWanted(16000, 20)), Counter())
    after_ns = time.time_ns()
    assert len(sounds) >= 8
    assert all(len(sound.samples) == 320 and sound.sample_rate == 16000 for sound in sounds)
    # The stand-in hands ten chunks out at once, the newest taken 50 ms before.
    age_ns = 50_000_000 + 9 * 20_000_000
    assert before_ns - age_ns < sounds[0].captured_at_ns + 1000 < after_ns - age_ns + 2000
    assert np.diff([s.captured_at_ns for s in sounds]) == pytest.approx(20_000_000, abs=1_100_000)


def test_an_offset_is_taken_off_and_a_drift_is_gauged(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, _PortAudio(_tone(10)))
    monkeypatch.setattr(SampleClock, "drift_ppm", 12.34)
    gauges: dict[str, float] = {}
    wanted = SoundWanted(16000, 20, offset_ns=3_000_000_000)
    before_ns = time.time_ns()
    sounds = _heard(SoundDevice(None, wanted, gauges), Counter())
    age_ns = before_ns - sounds[0].captured_at_ns
    assert age_ns / 1e9 == pytest.approx(3 + 0.05 + 0.18, abs=0.1)
    assert gauges["clock_drift_ppm"] == 12.3


def test_what_is_not_a_number_becomes_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = _tone(10)
    chunks[4] = chunks[4].copy()
    chunks[4][7] = np.nan
    chunks[5] = np.full(960, np.inf, np.float32)
    _use(monkeypatch, _PortAudio(chunks))
    counters: Counter[str] = Counter()
    sounds = _heard(SoundDevice(None, SoundWanted(_RATE, 20)), counters)
    assert counters["not_finite_blocks"] == 2
    assert all(np.isfinite(sound.samples).all() for sound in sounds)
    assert not sounds[4].samples.any()
    assert sounds[4].discontinuity, "so that its window is degraded"
    assert sounds[6].samples.any()


def test_overruns_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, _PortAudio(_tone(10), overflow_at=3))
    counters: Counter[str] = Counter()
    _heard(SoundDevice(None, SoundWanted(16000, 20)), counters)
    assert counters["overruns"] == 1


def test_silence_and_level_are_gauged(monkeypatch: pytest.MonkeyPatch) -> None:
    gauges: dict[str, float] = {}
    _use(monkeypatch, _PortAudio([np.zeros(960, np.float32)] * 40))
    _heard(SoundDevice(None, SoundWanted(16000, 20), gauges), Counter())
    assert gauges["silent_s"] == pytest.approx(0.8)
    assert gauges["level_dbfs"] == -120.0
    _use(monkeypatch, _PortAudio(_tone(40)))
    _heard(SoundDevice(None, SoundWanted(16000, 20), gauges), Counter())
    assert gauges["silent_s"] == 0
    assert gauges["level_dbfs"] == pytest.approx(-9.0, abs=0.2)


def test_a_device_that_vanished_is_looked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = _PortAudio(_tone(3))
    _use(monkeypatch, stand_in)
    device, counters = SoundDevice("webcam", SoundWanted(16000, 20)), Counter[str]()
    _heard(device, counters)
    stand_in.devices = stand_in.devices[:2]
    _heard(device, counters)  # still a loss, not an absence
    assert stand_in.restarts == 1


def test_a_device_that_never_was_there_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, _PortAudio(_tone(3)))
    device = SoundDevice("studio", SoundWanted(16000, 20))
    with pytest.raises(SourceError, match="1 \\(Desk microphone\\)") as caught:
        next(device.samples(Clock(), Counter()))
    assert not isinstance(caught.value, SourceLostError)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [(None, None), ("2", 2), ("desk", 1), ("Webcam microphone", 2), ("WEBCAM", 2)],
)
def test_microphones_are_found(wanted: str | None, index: int | None) -> None:
    assert find_microphone(_DEVICES, wanted) == index


@pytest.mark.parametrize("wanted", ["microphone", "studio", "0", "7"])
def test_unclear_microphones_are_not_guessed(wanted: str) -> None:
    with pytest.raises(SourceError, match="Webcam microphone"):
        find_microphone(_DEVICES, wanted)


def test_a_machine_without_microphones_says_so() -> None:
    with pytest.raises(SourceError, match="no microphone on this machine"):
        find_microphone(_DEVICES[:1], None)


def test_microphones_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jack_stream.capture.devices.load_portaudio", lambda: _PortAudio([]))
    found = list_microphones()
    assert [microphone.name for microphone in found] == ["Desk microphone", "Webcam microphone"]
    assert [microphone.default for microphone in found] == [True, False]
    assert found[0].host_api == "ALSA"
    assert found[0].sample_rate == 48000


def test_without_portaudio_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingDependencyError, match="libportaudio2"):
        portaudio.load_portaudio()
