import random

import numpy as np

from jack_stream.features.erasing import kept_frames
from jack_stream.features.snippets import sample_snippets
from jack_stream.features.spatial import Augmentation
from trainers.erased_views import erased_visual, judged_logits


def _numbered(number: int) -> np.ndarray:
    """A picture that says which frame it is, and which way is down: its rows get brighter."""
    rows = np.linspace(0, 100, 112, dtype=np.uint8)[:, None].repeat(112, 1)
    return np.stack([rows, np.full_like(rows, number), np.zeros_like(rows)], -1)


def _seed_without_change() -> int:
    for seed in range(100):
        rng = random.Random(seed)
        sample_snippets(kept_frames(np.array([False, True, True, False]), 100), 4, rng=rng)
        if Augmentation.draw(rng) in [Augmentation(p) for p in ("c", "tl", "tr", "bl", "br")]:
            return seed
    raise AssertionError


def test_only_kept_frames_are_shown_upright() -> None:
    kept = np.array([False, True, True, False])
    visual = erased_visual(kept, 100, _numbered, random.Random(_seed_without_change()))
    assert visual.shape == (4, 3, 16, 112, 112)
    shown = visual[:, 1, :, 50, 50]
    assert shown.min() >= 26
    assert shown.max() <= 75
    red = visual[0, 0, 0]
    assert (np.diff(red, axis=0) >= 0).all()
    assert red[-1, 0] > 90
    np.testing.assert_array_equal(red[:, 0], red[:, 111])


def test_frames_are_drawn_before_the_augmentation() -> None:
    kept = np.array([True, False, True, False])
    rng, again = random.Random(3), random.Random(3)
    visual = erased_visual(kept, 200, _numbered, rng)
    runs = sample_snippets(kept_frames(kept, 200), 4, rng=again)
    view = Augmentation.draw(again)
    np.testing.assert_array_equal(visual[2, :, 5].transpose(1, 2, 0), view(_numbered(runs[2, 5])))
    assert rng.getstate() == again.getstate()


def test_each_frame_is_loaded_once() -> None:
    loaded: list[int] = []

    def load(number: int) -> np.ndarray:
        loaded.append(number)
        return _numbered(number)

    erased_visual(np.array([True, False, False, False]), 40, load, random.Random(0))
    assert sorted(loaded) == list(range(1, 11))


def test_a_video_is_judged_by_two_views_or_one() -> None:
    whole, context = np.full((1, 2), 1.0, np.float32), np.full((1, 2), 3.0, np.float32)
    np.testing.assert_array_equal(judged_logits(whole, context), [[2.0, 2.0]])
    np.testing.assert_array_equal(judged_logits(whole, context, variant="paper"), whole)
