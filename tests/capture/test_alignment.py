"""Offsets and drifts that are known, in marks that are not perfect."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from jack_stream import toml
from jack_stream.capture import camera
from jack_stream.capture.alignment import Marks, align, find_flashes, find_onsets
from jack_stream.capture.measuring import measure
from jack_stream.capture.samples import Picture, Sound
from jack_stream.cli.app import app
from jack_stream.clock import NS_PER_S, Clock
from jack_stream.config import CameraSettings, MicrophoneSettings
from jack_stream.errors import SourceError, SourceLostError
from jack_stream.testing import FakeClock, PatternSource, find_beeps
from jack_stream.window.assembler import WindowAssembler
from jack_stream.window.sound import cut_sound
from jack_stream.window.spec import Window, WindowSpec
from tests.capture.media_files import write_video
from tests.capture.running import running

_FPS, _RATE = 25, 16000


def _uneven(count: int, seed: int, step_s: float = 1.0) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return np.asarray(np.cumsum(step_s * generator.uniform(0.6, 1.6, count)), np.float64)


def _marks(times_s: NDArray[np.float64], period_s: float) -> Marks:
    """As a camera or an ear of this period sees them: at the next tick."""
    ticks = np.ceil(times_s / period_s) * period_s
    return Marks(ticks, np.full(len(ticks), period_s))


@given(
    offset_s=st.floats(-1.5, 1.5, allow_subnormal=False),
    seed=st.integers(0, 10**6),
    lost=st.sets(st.integers(0, 19), max_size=5),
    wrong=st.lists(st.floats(0, 25, allow_subnormal=False), max_size=5),
)
def test_an_offset_is_found_among_wrong_and_missing_marks(
    offset_s: float, seed: int, lost: set[int], wrong: list[float]
) -> None:
    beeps = _uneven(20, seed)
    flashes = np.array([t + offset_s for n, t in enumerate(beeps) if n not in lost])
    apart = [w for w in wrong if np.abs(beeps - w).min() > 0.25]
    heard = np.sort([*beeps, *apart[:1]])
    found = align(_marks(flashes, 1 / _FPS), _marks(heard, 0.002))
    assert found.offset_ms == pytest.approx(1e3 * offset_s, abs=20), "half a picture"
    assert found.uncertainty_ms < 15
    assert found.pairs >= 15


def test_it_is_known_how_well_an_offset_is_known() -> None:
    within = 0
    for seed in range(200):
        beeps = _uneven(12, seed)
        found = align(_marks(beeps + 0.1, 1 / _FPS), _marks(beeps, 0.002))
        within += abs(found.offset_ms - 100) <= found.uncertainty_ms
    assert within >= 190


@given(drift_ppm=st.integers(-300, 300), seed=st.integers(0, 10**6))
def test_a_drift_is_found_over_ten_minutes(drift_ppm: int, seed: int) -> None:
    beeps = _uneven(120, seed, 5.0)
    flashes = beeps * (1 + drift_ppm * 1e-6) + 0.08
    found = align(_marks(flashes, 1 / _FPS), _marks(beeps, 0.002))
    assert found.drift_ppm == pytest.approx(drift_ppm, abs=25)
    assert found.drift_uncertainty_ppm is not None
    assert found.drift_uncertainty_ppm < 50
    middle_s = beeps.mean()
    assert found.offset_ms == pytest.approx(80 + middle_s * drift_ppm * 1e-3, abs=8)
    assert found.pairs == 120


def test_even_intervals_mean_the_smallest_offset() -> None:
    beeps = np.arange(1.0, 9.0)
    found = align(_marks(beeps + 0.21, 1 / _FPS), _marks(beeps, 0.002))
    assert found.offset_ms == pytest.approx(210, abs=found.uncertainty_ms)
    assert found.uncertainty_ms == pytest.approx(20, abs=2), "the camera saw them all in one phase"
    assert found.drift_ppm is None, "too short"


def test_marks_that_are_too_few_are_counted() -> None:
    few = _marks(np.array([1.0, 2.0]), 0.04)
    with pytest.raises(SourceError, match="only 2 flashes and 5 beeps") as caught:
        align(few, _marks(np.arange(1.0, 6.0), 0.002))
    assert "Switch a lamp" in caught.value.hint


def test_marks_that_have_nothing_to_do_with_each_other_are_refused() -> None:
    with pytest.raises(SourceError, match="fit together"):
        align(_marks(_uneven(12, 1), 0.04), _marks(100 + _uneven(12, 2), 0.002))


def test_flashes_are_found_in_noise_and_slow_changes() -> None:
    generator = np.random.default_rng(3)
    times = np.arange(500) / _FPS
    brightness = 90 + 30 * np.sin(times / 3) + generator.normal(0, 0.5, 500)
    for start in (50, 120, 300):
        brightness[start : start + 3] += 25
    assert find_flashes(times, brightness).times_s.tolist() == [2.0, 4.8, 12.0]


def test_beeps_are_found_in_noise_with_their_echoes_as_one() -> None:
    generator = np.random.default_rng(3)
    times = np.arange(5000) * 0.002
    levels = -60 + generator.normal(0, 2, 5000)
    for start in (500, 2000, 4000):
        levels[start : start + 40] = -20
        levels[start + 70 : start + 90] = -30
    assert find_onsets(times, levels).times_s.tolist() == pytest.approx([1.0, 4.0, 8.0])


def test_nothing_is_found_in_nothing() -> None:
    nothing = np.empty(0)
    assert len(find_flashes(nothing, nothing).times_s) == 0
    assert len(find_onsets(nothing, nothing).times_s) == 0


def _write(
    path: Path, flashes: NDArray[np.float64], beeps: NDArray[np.float64], seconds: float
) -> Path:
    """A video with noise in picture and sound, MPEG-4 and PCM."""
    generator = np.random.default_rng(1)
    times = np.arange(round(seconds * _RATE)) / _RATE
    sound = generator.normal(0, 0.003, len(times))
    for beep in beeps:
        on = (times >= beep) & (times < beep + 0.06)
        sound[on] += 0.4 * np.sin(2 * np.pi * 1000 * times[on])
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=_FPS)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=_RATE)
        audio.layout = "mono"
        for number in range(round(seconds * _FPS)):
            since = number / _FPS - flashes
            level = 160 if ((since >= 0) & (since < 0.1)).any() else 60
            image = np.clip(generator.normal(level, 6, (48, 64, 3)), 0, 255).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, _FPS)
            container.mux(video.encode(picture))
            first = number * _RATE // _FPS
            block = (sound[first : first + _RATE // _FPS] * 32767).astype(np.int16)
            part = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
            part.sample_rate, part.pts, part.time_base = _RATE, first, Fraction(1, _RATE)
            container.mux(audio.encode(part))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("offset_s", "drift_ppm"), [(0.13, 0), (-0.24, 0), (0.05, 1500)])
def test_a_film_is_measured(tmp_path: Path, offset_s: float, drift_ppm: int) -> None:
    seconds = 60.0 if drift_ppm else 16.0
    beeps = _uneven(40 if drift_ppm else 12, 7)
    flashes = beeps * (1 + drift_ppm * 1e-6) + offset_s
    path = _write(tmp_path / "a.mkv", flashes, beeps, seconds)
    settings = CameraSettings(source=str(path), width=64, sample_rate=_RATE)
    found = measure(settings, None, 5.0, clock=Clock(), stop=threading.Event())
    expected = offset_s + beeps.mean() * drift_ppm * 1e-6
    assert found.pairs == len(beeps)
    assert found.offset_ms == pytest.approx(1e3 * expected, abs=12)
    assert found.uncertainty_ms < 10
    if drift_ppm:
        assert found.drift_ppm == pytest.approx(drift_ppm, abs=300)
    else:
        # What was measured, written into the configuration, leaves nothing to be measured.
        corrected = settings.model_copy(update={"offset_ms": found.offset_ms})
        again = measure(corrected, None, 5.0, clock=Clock(), stop=threading.Event())
        assert again.offset_ms == pytest.approx(0, abs=0.1)


def test_camera_and_microphone_are_measured_together(tmp_path: Path) -> None:
    beeps = _uneven(8, 5)
    path = _write(tmp_path / "a.mkv", beeps + 0.1, beeps, 12.0)
    silent = CameraSettings(source=str(path), width=64, sound=False)
    heard = MicrophoneSettings(device=str(path), sample_rate=_RATE, offset_ms=-60)
    found = measure(silent, heard, 60.0, clock=Clock(), stop=threading.Event())
    assert found.pairs == 8
    # Two files start when each is opened, a moment apart.
    assert found.offset_ms == pytest.approx(40, abs=300)


def test_devices_are_watched_for_as_long_as_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that never end: a camera whose stamps are 120 ms late, and a microphone."""
    pattern, clock, over = (
        PatternSource(96, 64, fps=_FPS, sample_rate=_RATE),
        FakeClock(),
        threading.Event(),
    )
    start_ns, released = clock.now_ns(), threading.Event()

    def pictures(*_: object) -> Iterator[Picture]:
        for at_s, image in pattern.frames(8.0):
            yield Picture(image, (96, 64), start_ns + round((at_s + 0.12) * NS_PER_S))
        over.wait(10)
        clock.advance(60)
        released.wait(10)

    def sounds(*_: object) -> Iterator[Sound]:
        for number in range(400):
            samples = pattern.samples(number / 50, (number + 1) / 50)
            yield Sound(samples, _RATE, start_ns + number * 20_000_000)
        over.set()
        released.wait(10)

    for name, samples in (("camera", pictures), ("microphone", sounds)):
        stand_in = SimpleNamespace(samples=samples)
        monkeypatch.setattr(f"jack_stream.capture.{name}.open_source", lambda *_, it=stand_in: it)
    monkeypatch.setattr("jack_stream.capture.reader._MAX_LIVE", 10_000)
    monkeypatch.setattr("jack_stream.capture.measuring._AT_ONCE", 10_000)
    found = measure(
        CameraSettings(source="0"), MicrophoneSettings(), 30.0, clock=clock, stop=threading.Event()
    )
    released.set()
    assert found.pairs == 7
    assert found.offset_ms == pytest.approx(120, abs=found.uncertainty_ms + 1)


def test_the_command_says_what_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jack_stream.log.set_up", lambda: None)  # the runner's streams are closed
    beeps = _uneven(8, 5)
    path = _write(tmp_path / "a.mkv", beeps + 0.1, beeps, 12.0)
    done = CliRunner().invoke(app, ["capture", "align", str(path)])
    assert done.exit_code == 0
    *_, line = done.stdout.splitlines()
    settings = CameraSettings.model_validate(toml.loads(line)["camera"])
    assert settings.source == str(path)
    assert settings.offset_ms == pytest.approx(100, abs=12)


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    absent = CameraSettings(source=str(tmp_path / "absent.mkv"))
    with pytest.raises(SourceError, match="there is no file"):
        measure(absent, None, 5.0, clock=Clock(), stop=threading.Event())
    silent = CameraSettings(source=str(write_video(tmp_path / "silent.mkv")))
    with pytest.raises(SourceError, match="nothing gave sound"):
        measure(silent, None, 5.0, clock=Clock(), stop=threading.Event())


def test_a_camera_that_never_comes_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()

    def lost(*_: object) -> Iterator[Picture]:
        clock.advance(60)
        yield from ()
        raise SourceLostError("the cable is out")

    stand_in = SimpleNamespace(samples=lost)
    monkeypatch.setattr("jack_stream.capture.camera.open_source", lambda *_: stand_in)
    with pytest.raises(SourceError, match="nothing gave pictures"):
        measure(CameraSettings(source="0"), None, 30.0, clock=clock, stop=threading.Event())


def test_a_film_without_marks_says_so(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mkv", np.array([1.0]), np.array([1.0]), 3.0)
    settings = CameraSettings(source=str(path), width=64)
    with pytest.raises(SourceError, match="only 1 flashes and 1 beeps"):
        measure(settings, None, 5.0, clock=Clock(), stop=threading.Event())


def _windows(path: Path, tmp_path: Path, settings: CameraSettings) -> list[Window]:
    """The whole way: file, capture process, wire, assembler."""
    spec = WindowSpec(NS_PER_S, NS_PER_S, ("frame", "audio"), 60 * NS_PER_S)
    assembler = WindowAssembler("test", spec)
    windows: list[Window] = []
    with running(camera.run, settings, tmp_path) as source:
        for message in source.all():
            assembler.add(message)
            windows += assembler.ready()
    return windows


@pytest.mark.parametrize(
    ("offset_ms", "sound_offset_ms"), [(0.0, 0.0), (120.0, 0.0), (0.0, -80.0), (-200.0, 60.0)]
)
def test_flash_and_beep_lie_in_a_window_where_the_offsets_put_them(
    tmp_path: Path, offset_ms: float, sound_offset_ms: float
) -> None:
    path = tmp_path / "pattern.mkv"
    PatternSource(96, 64, fps=_FPS, sample_rate=_RATE, period_s=1.4).write(path, 6.0)
    settings = CameraSettings(
        source=str(path), width=96, pace="fast", sample_rate=_RATE,
        offset_ms=offset_ms, sound_offset_ms=sound_offset_ms,
    )  # fmt: skip
    compared = 0
    for window in _windows(path, tmp_path, settings):
        bright = [f for f in window.frames if f.image[: 64 * 7 // 10].mean() > 128]
        samples, _ = cut_sound(window.audio, window.start_ns, window.end_ns)
        beeps = find_beeps(samples, _RATE)
        if not bright or not beeps or beeps[0] == 0:
            continue
        assert not window.degraded
        flash_s = (bright[0].stamp.captured_at_ns - window.start_ns) / NS_PER_S
        apart_s = flash_s - beeps[0] - (sound_offset_ms - offset_ms) / 1e3
        assert abs(apart_s) < 1 / _FPS
        compared += 1
    assert compared >= 2


def test_an_offset_moves_every_stamp_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "pattern.mkv"
    PatternSource(96, 64, fps=_FPS, sample_rate=_RATE).write(path, 2.0)

    def stamps(offset_ms: float) -> list[tuple[str, int, int]]:
        settings = CameraSettings(
            source=str(path), width=96, pace="fast", sample_rate=_RATE, offset_ms=offset_ms
        )
        with running(camera.run, settings, tmp_path, stream=f"o{offset_ms:.0f}") as source:
            return sorted(
                (type(m).__name__, m.stamp.seq, m.stamp.captured_at_ns - m.stamp.origin_ns)
                for m in source.all()[:-1]
            )

    without, moved = stamps(0), stamps(70)
    for (kind, seq, at_ns), (kind_, seq_, moved_ns) in zip(without, moved, strict=True):
        assert (kind, seq) == (kind_, seq_)
        assert at_ns - moved_ns == (70_000_000 if kind == "Frame" else 0)
