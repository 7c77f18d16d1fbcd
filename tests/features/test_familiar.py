"""A voice that is got to know: what was heard of it, weighed by time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.features.familiar import MEMORY_S, FamiliarVoice

windows = st.lists(
    st.tuples(st.integers(1, 4), st.floats(0.25, 3.0)), min_size=1, max_size=8
)  # pieces, new seconds


@given(windows, st.integers(0, 99))
def test_mean_and_variance_are_weighed_by_time(parts: list[tuple[int, float]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    heard = [(rng.normal(3, 2, (pieces, 5)).astype(np.float32), s) for pieces, s in parts]
    voice = FamiliarVoice.unknown(5)
    for pieces, seconds in heard:
        voice = voice.hearing(pieces, seconds)
    weights = np.concatenate([np.full(len(p), s / len(p)) for p, s in heard])
    everything = np.concatenate([p for p, _ in heard])
    mean = np.average(everything, axis=0, weights=weights)
    variance = np.average((everything - mean) ** 2, axis=0, weights=weights)
    rows = voice.rows(15.0)
    total = sum(seconds for _, seconds in heard)
    assert rows["voice_mean"] == pytest.approx(mean[np.newaxis], rel=1e-5, abs=1e-5)
    assert rows["voice_variance"] == pytest.approx(variance[np.newaxis], rel=1e-4, abs=1e-5)
    assert rows["familiarity"] == pytest.approx([total / (total + 15.0)])


def test_an_unknown_voice_leaves_what_was_learned() -> None:
    assert FamiliarVoice.unknown(4).rows(15.0)["familiarity"].tolist() == [0.0]


def test_without_adaptation_no_voice_is_ever_known() -> None:
    voice = FamiliarVoice.unknown(4).hearing(np.ones((2, 4), np.float32), 100.0)
    assert voice.rows(0.0)["familiarity"].tolist() == [0.0]


def test_another_voice_takes_the_place_of_the_first() -> None:
    voice = FamiliarVoice.unknown(2)
    for _ in range(1000):
        voice = voice.hearing(np.zeros((1, 2), np.float32), 1.0)
    assert voice.heard_s == MEMORY_S
    for _ in range(round(5 * MEMORY_S)):
        voice = voice.hearing(np.ones((1, 2), np.float32), 1.0)
    assert voice.mean == pytest.approx(np.ones(2), abs=0.01)
    assert voice.heard_s == MEMORY_S
