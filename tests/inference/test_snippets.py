"""What the snippet cache keeps equals what is computed anew, and is computed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import ModelInputError
from jack_stream.features.snippets import frames_of_cell
from jack_stream.inference.analyzer import Step
from jack_stream.inference.snippets import SnippetCache, nearest
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Frame
from tests.inference.streams import MS, ORIGIN, FakeModel, S, answered, frame, frames_at, window

PERIOD = 200 * MS
FPS = 100.0


def _sums(clips: np.ndarray) -> dict[str, np.ndarray]:
    """Cheap, and different for any two clips: also for the same pictures in another order."""
    steps = np.arange(1, 17, dtype=np.float32)[:, None, None]
    return {"sum": (clips * steps).sum((2, 3, 4)), "first": clips[:, :, 0].mean((1, 2, 3))}


def _cache() -> SnippetCache:
    step = Step(FakeModel(), "see", lambda rows: _sums(rows["clips"]))  # type: ignore[arg-type]
    return SnippetCache(step, period_ns=PERIOD, fps=FPS)


def _features(cache: SnippetCache, seen: Window) -> tuple[dict[str, np.ndarray], int]:
    snippets = cache.take(seen)
    return answered(snippets.features()), snippets.empty


def _recomputed(seen: Window) -> dict[str, np.ndarray]:
    """Straight from the definition, without the cache's code."""
    times = np.array([f.stamp.captured_at_ns - seen.origin_ns for f in seen.frames])
    first = (seen.start_ns - seen.origin_ns) // PERIOD
    last = (seen.end_ns - seen.origin_ns) // PERIOD
    filled = {int(t) // PERIOD for t in times}
    clips = []
    for cell in range(first, last):
        source = min(filled, key=lambda other: (abs(other - cell), other))
        chosen = frames_of_cell(times, source, PERIOD, fps=FPS)
        clips.append(np.stack([seen.frames[i].image for i in chosen], 1).transpose(3, 1, 0, 2))
    return _sums(np.stack(clips).astype(np.float32))


@st.composite
def journeys(draw: st.DrawFn) -> tuple[list[Frame], list[tuple[int, int, list[Frame]]]]:
    """Pictures at uneven times with gaps, and windows, each with the pictures known by then."""
    times = sorted(draw(st.sets(st.integers(0, 2400), min_size=1, max_size=60)))
    frames = [frame(seq, at * MS) for seq, at in enumerate(times)]
    late = draw(st.sets(st.integers(0, len(frames) - 1), max_size=3))
    first, steps = draw(st.integers(0, 4)), []
    for count in range(draw(st.integers(1, 6))):
        known = [f for f in frames if count >= 2 or f.stamp.seq not in late]
        steps.append((first, draw(st.integers(1, 5)), known))
        first = max(0, first + draw(st.integers(-1, 4)))
    return frames, steps


@settings(deadline=None, max_examples=60)
@given(journeys())
def test_cached_features_equal_recomputed_ones(journey: Any) -> None:
    cache = _cache()
    for first, length, known in journey[1]:
        seen = window({"frame": known}, first * PERIOD, length * PERIOD)
        if not seen.frames:
            with pytest.raises(ModelInputError, match="no picture"):
                _features(cache, seen)
            continue
        features, empty = _features(cache, seen)
        cells = {(f.stamp.captured_at_ns - ORIGIN) // PERIOD for f in seen.frames}
        assert empty == length - len(cells)
        for name, expected in _recomputed(seen).items():
            np.testing.assert_array_equal(features[name], expected, err_msg=name)


@given(st.randoms(use_true_random=False), st.integers(1, 3), st.integers(3, 6))
@settings(deadline=None, max_examples=25)
def test_two_streams_at_once_keep_their_own_and_encode_each_snippet_once(
    random: Any, hop: int, length: int
) -> None:
    streams = {name: frames_at(4.0, fps=50, stream=name, session=name) for name in ("a", "b")}
    caches = {name: _cache() for name in streams}
    places = dict.fromkeys(streams, 0)
    turns = [name for name in streams for _ in range(4)]
    random.shuffle(turns)
    for name in turns:
        start = places[name] * PERIOD
        seen = window({"frame": streams[name]}, start, length * PERIOD, stream=name)
        features, empty = _features(caches[name], seen)
        assert empty == 0
        for key, expected in _recomputed(seen).items():
            np.testing.assert_array_equal(features[key], expected)
        places[name] += hop
    for cache in caches.values():
        assert cache.encoded == length + 3 * hop if hop < length else 4 * length


def test_streams_with_the_same_times_never_get_each_others_features() -> None:
    cache = _cache()
    for name in ("a", "b", "a"):
        frames = frames_at(0.6, fps=50, stream=name, session=name)
        seen = window({"frame": frames}, 0, 3 * PERIOD, stream=name)
        np.testing.assert_array_equal(_features(cache, seen)[0]["sum"], _recomputed(seen)["sum"])


def test_only_a_late_picture_that_is_chosen_costs_its_snippet_again() -> None:
    frames = frames_at(0.6, fps=100)
    without = [f for f in frames if f.stamp.seq != 30]
    cache = _cache()
    _features(cache, window({"frame": without}, 0, 3 * PERIOD))
    assert cache.encoded == 3
    _features(cache, window({"frame": frames}, 0, 3 * PERIOD))
    assert cache.encoded == 4
    edge = frame(1000, 1 * MS)  # far from the middle of its cell: 16 others are nearer
    _features(cache, window({"frame": [frames[0], edge, *frames[1:]]}, 0, 3 * PERIOD))
    assert cache.encoded == 4


def test_what_a_look_that_was_given_up_left_is_encoded_by_the_next() -> None:
    cache, frames = _cache(), frames_at(2.0, fps=50)
    first, second = (window({"frame": frames}, at * PERIOD, 5 * PERIOD) for at in (0, 1))
    next(cache.take(first).features())
    features, _ = _features(cache, second)
    np.testing.assert_array_equal(features["sum"], _recomputed(second)["sum"])
    assert cache.encoded == 6


def test_looks_that_overlap_are_answered_alike_in_any_order() -> None:
    """The second begins before the first has its answer."""
    cache, frames = _cache(), frames_at(2.0, fps=50)
    windows = [window({"frame": frames}, at * PERIOD, 5 * PERIOD) for at in (0, 1)]
    looks = [cache.take(seen).features() for seen in windows]
    asks = [next(look) for look in looks]
    assert [len(ask.rows["clips"]) for ask in asks] == [5, 1]
    for look, ask, seen in zip(looks, asks, windows, strict=True):
        with pytest.raises(StopIteration) as end:
            look.send(ask.step.run(ask.rows))
        np.testing.assert_array_equal(end.value.value["sum"], _recomputed(seen)["sum"])


def test_only_the_last_windows_snippets_are_kept() -> None:
    cache, frames = _cache(), frames_at(20.0, fps=20)
    for first in range(80):
        _features(cache, window({"frame": frames}, first * PERIOD, 5 * PERIOD))
        assert len(cache._cache._held) <= 5
    assert cache.encoded == 84


def test_of_two_equally_near_snippets_the_earlier_one_stands_in() -> None:
    assert nearest(5, {3, 7}) == 3
    assert nearest(5, {2, 7}) == 7
    assert nearest(5, {5, 4}) == 5


def test_a_device_whose_grid_begins_at_the_epoch_is_cut_alike() -> None:
    frames = frames_at(0.6, fps=50, origin=0)
    shifted = [frame(f.stamp.seq, f.stamp.captured_at_ns + 7 * S, origin=0) for f in frames]
    seen = window({"frame": shifted}, 7 * S, 3 * PERIOD, origin=0)
    features, empty = _features(_cache(), seen)
    assert empty == 0
    np.testing.assert_array_equal(features["sum"], _recomputed(seen)["sum"])
