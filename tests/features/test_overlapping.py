"""Windows that overlap: what is kept is what would be computed again, and it is kept."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.features.mel import MelSpectrum
from jack_stream.features.overlapping import OverlappingMel

_SOUND = np.random.default_rng(5).standard_normal(9000).astype(np.float32) * np.float32(0.1)


@pytest.mark.parametrize("padding", ["reflect", "zero"])
@settings(deadline=None, max_examples=40)
@given(st.integers(300, 3000), st.lists(st.integers(0, 40), min_size=1, max_size=4), st.data())
def test_every_window_is_as_if_it_were_the_only_one(
    padding: Literal["reflect", "zero"], length: int, hops: list[int], data: st.DataObject
) -> None:
    hop = data.draw(st.sampled_from([40, 64, 100]))
    spectrum = MelSpectrum(8000, hop, 20, n_fft=256, padding=padding)
    kept, start = OverlappingMel(spectrum), 0
    for shift in [0, *(hops_ * hop + data.draw(st.sampled_from([0, 0, 7])) for hops_ in hops)]:
        start = min(start + shift, len(_SOUND) - length)
        window = _SOUND[start : start + length]
        found = kept.window(window, shift)
        np.testing.assert_allclose(found, spectrum.whole(window), rtol=1e-6, atol=1e-12)


def test_only_what_is_new_or_at_an_edge_is_transformed() -> None:
    spectrum = MelSpectrum(8000, 80, 20, n_fft=320, padding="zero")
    kept = OverlappingMel(spectrum)
    kept.window(_SOUND[:4000], 0)
    assert kept.transformed == 51
    kept.window(_SOUND[800:4800], 800)
    assert kept.transformed == 51 + 10 + 2 + 2, "new ones, and those over both edges"


def test_what_is_not_the_same_sound_is_heard_again() -> None:
    spectrum = MelSpectrum(8000, 80, 20, n_fft=320, padding="zero")
    kept = OverlappingMel(spectrum)
    kept.window(_SOUND[:4000], 0)
    late = _SOUND[800:4800].copy()
    late[1000] += 0.5
    np.testing.assert_array_equal(kept.window(late, 800), spectrum.whole(late))
    assert kept.transformed == 2 * 51
