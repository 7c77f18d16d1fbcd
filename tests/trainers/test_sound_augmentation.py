"""What is done to voices in training leaves them voices."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.augmentation.sound import (
    band_limited,
    coloured,
    echoing,
    masked,
    mixed,
    noisy,
    placed,
    stretched,
)

SEEDS = st.integers(0, 2**32 - 1)


def _voice(frames: int = 60, first: int = 20, last: int = 40) -> np.ndarray:
    power = np.full((frames, 16), 1e-9, np.float32)
    power[first:last] = 1.0
    return power


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(4, 90))
def test_a_window_lies_over_the_speech(seed: int, frames: int) -> None:
    window = placed(_voice(), frames, np.random.default_rng(seed), margin=2)
    assert window.shape == (frames, 16)
    heard = int((window[:, 0] > 0.5).sum())
    assert heard >= min(frames, 20) - 2


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_rooms_and_microphones_add_no_silence_and_no_infinity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    voice = _voice()
    assert (noisy(voice, rng) > voice).all()
    assert (echoing(voice, rng, 0.02) >= voice).all()
    assert echoing(voice, rng, 0.02)[45, 0] > 1e3 * voice[45, 0]
    bent = coloured(voice, rng, 3.0)
    np.testing.assert_allclose(bent / voice, (bent / voice)[:1].repeat(60, 0), rtol=1e-4)
    limited = band_limited(voice, rng)
    assert (limited[:, :8] == voice[:, :8]).all()
    assert limited[30, 15] < 1e-3


def test_masks_hide_at_most_two_stripes_each_way() -> None:
    features = np.arange(64 * 16, dtype=np.float32).reshape(64, 16)
    hidden = masked(features, np.random.default_rng(0), 1.0) == features.mean()
    assert 0 < hidden.all(1).sum() <= 16
    assert 0 < hidden.all(0).sum() <= 4
    np.testing.assert_array_equal(masked(features, np.random.default_rng(0), 0.0), features)


def test_mixing_keeps_shares_of_one() -> None:
    rng = np.random.default_rng(0)
    features, targets = rng.random((8, 4, 3), np.float32), np.eye(8, dtype=np.float32)
    mixed_features, mixed_targets = mixed(features, targets, rng, 0.4)
    np.testing.assert_allclose(mixed_targets.sum(1), 1, rtol=1e-6)
    assert (mixed_targets.max(1) >= 0.5).all()
    flat = features.reshape(8, -1)
    np.testing.assert_allclose(mixed_targets @ flat, mixed_features.reshape(8, -1), rtol=1e-5)
    assert mixed(features, targets, rng, 0)[0] is features


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(2, 60), st.floats(0, 0.5, allow_subnormal=False))
def test_slower_speech_is_longer_and_has_the_same_sounds(
    seed: int, frames: int, most: float
) -> None:
    voice = np.linspace(-60, 0, frames, dtype=np.float32)[:, np.newaxis] + np.zeros(4, np.float32)
    result = stretched(voice, np.random.default_rng(seed), most)
    assert frames / np.exp(most) - 1 <= len(result) <= frames * np.exp(most) + 1
    assert np.allclose(result[0], voice[0])
    assert np.allclose(result[-1], voice[-1], atol=1e-4)
    assert (np.diff(result[:, 0]) >= 0).all()
