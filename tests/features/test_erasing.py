import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.features.erasing import kept_audio, kept_frames, key_and_context, thresholds


def test_thresholds_masks_and_frames_are_the_authors(shared: Path) -> None:
    golden = np.load(shared / "golden/cten_erase.npz")
    frames = json.loads((shared / "golden/cten_erase.json").read_text())["frame_indices"]
    np.testing.assert_allclose(thresholds(golden["gamma"]), golden["threshold"], rtol=2e-7)
    key, context = key_and_context(golden["gamma"])
    np.testing.assert_array_equal(key, golden["key_mask"])
    np.testing.assert_array_equal(context, golden["context_mask"])
    for video, count in enumerate(golden["n_frames"]):
        np.testing.assert_array_equal(kept_frames(key[video], count), frames[f"key_{video}"])
        np.testing.assert_array_equal(
            kept_frames(context[video], count), frames[f"context_{video}"]
        )


def test_the_paper_keeps_what_both_modalities_attend_to() -> None:
    picture = np.array([[0.0, 10.0, 8.0, 2.0]], np.float32)
    voice = np.array([[5.0, 6.0, 5.1, 5.2]], np.float32)
    key, context = key_and_context(picture, voice, variant="paper")
    np.testing.assert_array_equal(key, [[False, True, False, False]])
    np.testing.assert_array_equal(context, ~key)


def test_an_even_attention_leaves_the_video_whole() -> None:
    even = np.full((1, 4), 0.5, np.float32)
    key, _ = key_and_context(even)
    paper_key, paper_context = key_and_context(even, even, variant="paper")
    assert not key.any()
    assert not paper_key.any()
    assert paper_context.all()
    np.testing.assert_array_equal(kept_frames(key[0], 9), np.arange(1, 10))


@given(st.lists(st.booleans(), min_size=1, max_size=16), st.integers(16, 300))
def test_key_and_context_share_no_frame(mask: list[bool], count: int) -> None:
    kept = np.array(mask)
    if kept.all() or not kept.any():
        return
    both = np.intersect1d(kept_frames(kept, count), kept_frames(~kept, count))
    assert both.size == 0


def test_erased_sound_is_the_kept_segments_over_and_over() -> None:
    bands = np.repeat(np.arange(4, dtype=np.float32), 2)[:, None]
    kept = kept_audio(bands, np.array([False, True, False, True]))
    np.testing.assert_array_equal(kept[:, 0], [1, 1, 3, 3, 1, 1, 3, 3])
