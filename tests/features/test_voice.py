"""What a voice network hears: the paper's coefficients, or a spectrogram that forgets loudness."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import BundleError
from jack_stream.features import mfcc
from jack_stream.features.voice import VoicePreprocessing

LOG_MEL = VoicePreprocessing(
    kind="log-mel", sample_rate=16000, hop=320, n_fft=1024, bands=64, range_db=60.0
)


def _voice(seconds: float, rate: int = 16000) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 20))
    return (0.1 * tone * (1 + np.sin(2 * np.pi * 3 * t))).astype(np.float32)


def test_the_defaults_are_the_papers() -> None:
    sound = _voice(3.5, 44100)
    expected = mfcc.repeat(mfcc.mfcc(sound), 512)
    heard = VoicePreprocessing()
    np.testing.assert_array_equal(heard.features(heard.power(sound, 44100), 512), expected)


@settings(deadline=None, max_examples=10)
@given(st.floats(-40, 20, allow_subnormal=False))
def test_loudness_does_not_matter_to_a_log_mel_window(gain_db: float) -> None:
    sound = _voice(1.0)
    louder = (sound * 10 ** (gain_db / 20)).astype(np.float32)
    features = [LOG_MEL.features(LOG_MEL.power(s, 16000), 50) for s in (sound, louder)]
    np.testing.assert_allclose(features[0], features[1], atol=2e-3)
    assert features[0].max() == 2
    assert features[0].min() >= -2


def test_what_is_missing_is_silence_and_what_is_too_much_is_cut() -> None:
    power = LOG_MEL.power(_voice(1.0), 16000)
    assert power.shape == (51, 64)
    features = LOG_MEL.features(power, 80)
    assert (features[51:] == -2).all()
    np.testing.assert_allclose(LOG_MEL.features(power, 20), features[:20], atol=2e-2)


def test_pieces_far_below_the_loudest_are_pauses() -> None:
    second = _voice(0.9)
    sounds = [np.pad(second * 10 ** (db / 20), 800) for db in (-45, 0, -35)]
    features = LOG_MEL.features(LOG_MEL.power(np.concatenate(sounds), 16000), 150)
    pausing = msgspec.structs.replace(LOG_MEL, silent_db=40.0)
    assert pausing.sounding(features, 3).tolist() == [0, 1, 1]
    assert pausing.sounding(np.stack([features, features[::-1]]), 3).tolist() == [
        [0, 1, 1],
        [1, 1, 0],
    ]
    assert LOG_MEL.sounding(features, 3).tolist() == [1, 1, 1]
    papers = VoicePreprocessing(silent_db=40.0)  # coefficients are no levels
    assert papers.sounding(features, 3).tolist() == [1, 1, 1]


def test_the_microphones_rate_hardly_matters() -> None:
    seen = [LOG_MEL.features(LOG_MEL.power(_voice(1.0, r), r), 50) for r in (16000, 48000)]
    within = (seen[0] > -1) & (seen[1] > -1)
    assert np.abs(seen[0] - seen[1])[within].mean() < 0.1


def test_a_cards_table_goes_there_and_back() -> None:
    assert VoicePreprocessing.from_card(LOG_MEL.to_card()) == LOG_MEL
    assert VoicePreprocessing.from_card({}) == VoicePreprocessing()
    for wrong in ({"hops": 3}, {"hop": 0}, {"kind": "plp"}):
        with pytest.raises(BundleError, match="voice model"):
            VoicePreprocessing.from_card(wrong)
