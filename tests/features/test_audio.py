import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import ModelInputError
from jack_stream.features import logmel, mfcc
from jack_stream.features.fbank import Fbank, normalise, select_segments
from jack_stream.features.framing import Framing
from jack_stream.features.mel import MelSpectrum, kaldi_filters, power_to_db, slaney_filters
from tests.features.reference import sound


def _wave(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / 32768


@pytest.mark.parametrize(("name", "rate"), [("16k", 16000), ("44k", 44100), ("22k", 22050)])
def test_fbank_is_kaldis(name: str, rate: int, shared: Path) -> None:
    golden = np.load(shared / "golden/audio_fbank.npz")
    bands = Fbank(rate).whole(_wave(golden[f"wave_{name}"]))
    assert bands.dtype == np.float32
    np.testing.assert_allclose(bands, golden[f"fbank_{name}"], rtol=0, atol=5e-3)
    np.testing.assert_allclose(normalise(bands), golden[f"norm_{name}"], rtol=0, atol=5e-4)


def test_segments_of_a_short_and_of_a_long_sound_are_ctens(shared: Path) -> None:
    golden = np.load(shared / "golden/audio_cten_segments.npz")
    short = _wave(np.load(shared / "golden/audio_fbank.npz")["wave_16k"])
    chosen = normalise(select_segments(Fbank(16000).whole(short)))
    assert chosen.shape == (1600, 128)
    np.testing.assert_allclose(chosen[::37, ::8], golden["short_norm_slice"], rtol=0, atol=5e-4)

    bands = Fbank(16000).whole(_wave(golden["wave_long"]))
    assert len(bands) == golden["n_frames"]
    chosen = normalise(select_segments(bands, rng=random.Random(7)))
    np.testing.assert_allclose(chosen[::37, ::8], golden["long_norm_slice"], rtol=0, atol=5e-4)
    numbered = np.repeat(np.arange(len(bands), dtype=np.float32)[:, None], 2, axis=1)
    starts = select_segments(numbered, rng=random.Random(7))[::100, 0]
    np.testing.assert_array_equal(starts, golden["starts_seed7"])


def test_without_a_random_stream_a_segment_is_the_middle_of_its_block() -> None:
    numbered = np.arange(440, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(
        select_segments(numbered, 4, frames=100)[::100, 0], [5, 115, 225, 335]
    )


def test_a_sound_of_just_the_right_length_is_taken_whole() -> None:
    numbered = np.arange(400, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(select_segments(numbered, 4), numbered)


@pytest.mark.parametrize(("padding", "name"), [("reflect", "reflect"), ("zero", "constant")])
def test_mfcc_is_librosas(padding: str, name: str, shared: Path) -> None:
    golden = np.load(shared / "golden/audio_vaanet_mfcc.npz")
    result = mfcc.mfcc(_wave(golden["wave"]), padding)
    np.testing.assert_allclose(result.T, golden[f"mfcc_{name}"], rtol=0, atol=1e-3)


def test_the_vaanet_input_is_the_authors(shared: Path) -> None:
    golden = np.load(shared / "golden/audio_vaanet_mfcc.npz")
    result = mfcc.repeat(mfcc.mfcc(_wave(golden["wave"])))
    assert result.shape == (4096, 32)
    np.testing.assert_allclose(result[::61], golden["model_input_slice"], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("padding", "name"), [("reflect", "reflect"), ("zero", "constant")])
def test_log_mel_is_librosas(padding: str, name: str, shared: Path) -> None:
    golden = np.load(shared / "golden/audio_tsl_logmel.npz")
    result = logmel.log_mel(_wave(golden["wave"]), int(golden["sr"]), padding)
    np.testing.assert_allclose(result, golden[f"logmel_{name}"], rtol=0, atol=5e-3)


def test_the_tsl_input_is_the_authors(shared: Path) -> None:
    golden = np.load(shared / "golden/audio_tsl_logmel.npz")
    result = logmel.to_segments(logmel.log_mel(_wave(golden["wave"]), int(golden["sr"])))
    np.testing.assert_allclose(result, golden["model_input"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("fps", "rate"), [(30, 61474), (25, 51228), (24000 / 1001, 49130), (239 / 12, 40812)]
)
def test_the_tsl_sample_rate_follows_the_frame_rate(fps: float, rate: int) -> None:
    assert logmel.sample_rate(fps) == rate


def test_there_is_no_rate_for_no_pictures() -> None:
    with pytest.raises(ModelInputError, match="frame rate"):
        logmel.sample_rate(0.0)


def test_a_pure_tone_lands_in_its_band() -> None:
    rate, hz = 16000, 1000.0
    tone = np.sin(2 * np.pi * hz * np.arange(rate) / rate).astype(np.float32)
    bands = Fbank(rate).whole(tone)
    filters = kaldi_filters(rate, 512, 128)
    assert bands[10].argmax() == filters[round(hz / rate * 512)].argmax()
    power = MelSpectrum(rate, 512, 64).whole(tone)
    assert power[10].argmax() == slaney_filters(rate, 2048, 64)[round(hz / rate * 2048)].argmax()


def test_the_dynamic_range_is_that_of_the_window() -> None:
    decibels = power_to_db(np.array([[1.0, 1e-3], [1e-9, 1e-12]], np.float32))
    np.testing.assert_allclose(decibels, [[0, -30], [-80, -80]], atol=1e-4)


@pytest.mark.parametrize("padding", ["none", "reflect", "zero"])
def test_a_sound_too_short_for_a_frame_is_an_error(padding: str) -> None:
    framing = Framing(8, 4, padding)
    with pytest.raises(ModelInputError, match="too short"):
        framing.whole(np.zeros(0, np.float32))


def _in_blocks(cutter: Fbank | MelSpectrum, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Stream the samples in blocks of the given sizes, over and over."""
    state, parts, start, turn = None, [], 0, 0
    while start < samples.size:
        size = sizes[turn % len(sizes)]
        bands, state = cutter.step(samples[start : start + size], state)
        parts.append(bands)
        start, turn = start + size, turn + 1
    if isinstance(cutter, MelSpectrum):
        parts.append(cutter.finish(state))
    return np.concatenate(parts)


SIZES = st.lists(st.integers(0, 3000), min_size=1, max_size=6).filter(any)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(400, 12000), st.sampled_from([8000, 16000, 22050]))
def test_fbank_of_a_stream_is_that_of_the_whole(sizes: list[int], count: int, rate: int) -> None:
    samples = sound("stream", rate, 2.0)[0, : max(count, rate // 40)]
    cutter = Fbank(rate)
    streamed = _in_blocks(cutter, samples, sizes)
    np.testing.assert_allclose(streamed, cutter.whole(samples), rtol=0, atol=5e-3)


@settings(max_examples=40, deadline=None)
@given(
    SIZES,
    st.integers(257, 9000),
    st.sampled_from([128, 200, 256, 512]),
    st.sampled_from(["reflect", "zero"]),
)
def test_mel_of_a_stream_is_that_of_the_whole(
    sizes: list[int], count: int, hop: int, padding: str
) -> None:
    samples = sound("stream", 16000, 1.0)[0, :count]
    cutter = MelSpectrum(16000, hop, bands=20, n_fft=512, padding=padding)
    streamed = _in_blocks(cutter, samples, sizes)
    whole = cutter.whole(samples)
    assert streamed.shape == (1 + samples.size // hop, 20)
    np.testing.assert_allclose(streamed, whole, rtol=1e-6, atol=1e-12)


def test_streams_do_not_mix() -> None:
    cutter = Fbank(16000)
    sounds = [sound(f"stream{i}", 16000, 0.3)[0] for i in range(8)]
    states, parts = [None] * 8, [[] for _ in range(8)]
    for start in range(0, 4800, 700):
        for i in range(8):
            bands, states[i] = cutter.step(sounds[i][start : start + 700], states[i])
            parts[i].append(bands)
    for i in range(8):
        alone = _in_blocks(cutter, sounds[i], [700])
        np.testing.assert_array_equal(np.concatenate(parts[i]), alone)


def test_a_stream_keeps_no_more_than_it_needs() -> None:
    cutter, state = mfcc.mel_spectrum(), None
    for _ in range(50):
        _, state = cutter.step(np.zeros(4410, np.float32), state)
    assert state.samples.size <= 2 * cutter.n_fft
