"""A window's sound, in whole and cell by cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.features import fbank
from jack_stream.inference.sound import FbankPieces, MfccPieces, SoundCache, heard
from tests.inference.streams import MS, S, noise_blocks, sound, window

PERIOD = 200 * MS


def test_silence_stands_where_nothing_was_captured() -> None:
    samples, rate, captured = heard(window({"audio": []}, 0, S))
    assert len(samples) == rate
    assert not samples.any()
    assert captured == 0
    samples, rate, captured = heard(window({"audio": noise_blocks(0.6)}, 0, S))
    assert rate == 16000
    assert captured == 0.6
    assert samples[:9600].any()
    assert not samples[9600:].any()


def test_what_is_not_finite_is_not_heard() -> None:
    broken = sound(0, 0, np.array([0.5, np.nan, 0.5, 0.5]), 8)
    samples, _, _ = heard(window({"audio": [broken]}, 0, S // 2))
    assert samples.tolist() == [0.5, 0.0, 0.5, 0.5]


def test_after_a_change_of_rate_the_newer_sound_is_heard() -> None:
    blocks = [
        *noise_blocks(0.4, rate=8000),
        sound(99, 400 * MS, np.ones(9600), 16000),
    ]
    samples, rate, captured = heard(window({"audio": blocks}, 0, S))
    assert rate == 16000
    assert len(samples) == 16000
    assert captured == 0.6


def test_a_part_of_a_window_is_what_lies_in_it() -> None:
    whole = window({"audio": noise_blocks(1.0)}, 0, S)
    samples, rate, _ = heard(whole)
    start = whole.start_ns + PERIOD
    part, part_rate, captured = heard(whole, start, start + PERIOD)
    assert (rate, part_rate, captured) == (16000, 16000, 1.0)
    np.testing.assert_array_equal(part, samples[3200:6400])


def test_pieces_have_the_shapes_that_the_models_take() -> None:
    samples = np.random.default_rng(1).standard_normal(16000 * 3).astype(np.float32)
    assert MfccPieces(3)(samples, 16000).shape == (3, 256, 32)
    assert FbankPieces(4)(samples, 16000).shape == (4, 100, 128)


@pytest.mark.parametrize(("seconds", "pieces"), [(16, 16), (5, 16), (0.4, 2), (3.01, 3), (9, 4)])
def test_segments_heard_by_themselves_are_those_of_the_whole_sound(
    seconds: float, pieces: int
) -> None:
    """Repeated where the sound is shorter than the segments, chosen from it where it is longer."""
    samples = np.random.default_rng(2).standard_normal(round(seconds * 16000)).astype(np.float32)
    whole = fbank.normalise(fbank.select_segments(fbank.Fbank(16000).whole(samples), pieces))
    found = FbankPieces(pieces)(samples, 16000)
    np.testing.assert_allclose(found.reshape(whole.shape), whole, atol=1e-5)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_segment_is_the_same_in_the_next_window(rate: int) -> None:
    samples = np.random.default_rng(3).standard_normal(5 * rate).astype(np.float32)
    listen = FbankPieces(4)
    before, after = listen(samples[: 4 * rate], rate), listen(samples[rate:], rate)
    np.testing.assert_array_equal(before[1:3], after[:2])
    assert np.abs(before[3] - after[2]).max() > 0, "its last frames reach into the next second"
    np.testing.assert_array_equal(after, FbankPieces(4)(samples[rate:], rate))


@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(1, 5)), min_size=1, max_size=5),
    st.sets(st.integers(0, 49), max_size=4),
)
@settings(deadline=None, max_examples=40)
def test_cells_heard_before_equal_cells_heard_anew(moves: Any, late: set[int]) -> None:
    def listen(samples: np.ndarray, rate: int) -> np.ndarray:
        return np.array([rate, samples.sum(), np.abs(samples).max()], np.float32)

    cache, first = SoundCache(listen, PERIOD), 0
    blocks = noise_blocks(2.0)
    for count, (hop, length) in enumerate(moves):
        first = max(0, first + hop)
        known = [b for b in blocks if count >= 1 or b.stamp.seq not in late]
        seen = window({"audio": known}, first * PERIOD, length * PERIOD)
        features, captured = cache.features(seen)
        anew, share = SoundCache(listen, PERIOD).features(seen)
        np.testing.assert_array_equal(features, anew)
        assert captured == share


def test_a_hop_listens_to_its_new_cells_only() -> None:
    cache = SoundCache(lambda samples, _: samples[:1], PERIOD)
    blocks = noise_blocks(4.0)
    for first in range(6):
        cache.features(window({"audio": blocks}, first * PERIOD, 5 * PERIOD))
    assert cache.heard == 10
