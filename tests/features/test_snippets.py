import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.errors import ModelInputError
from jack_stream.features.snippets import frames_of_cell, grid_cells, sample_snippets

SECOND = 1_000_000_000


def test_sampling_is_the_authors(shared: Path) -> None:
    cases = json.loads((shared / "golden/transforms.json").read_text())["tsn"]
    assert len(cases) == 8
    for case in cases:
        frames = range(1, case["n_frames"] + 1)
        arguments = (list(frames), case["seq_len"])
        length = case["duration"]
        centre = sample_snippets(*arguments, length=length)
        drawn = sample_snippets(*arguments, length=length, rng=random.Random(5))
        np.testing.assert_array_equal(centre, case["center"])
        np.testing.assert_array_equal(drawn, case["random_seed5"])


@given(st.integers(1, 400), st.integers(1, 16), st.integers(0, 2**32))
def test_snippets_are_runs_of_the_video_in_order(frames: int, count: int, seed: int) -> None:
    runs = sample_snippets(np.arange(frames), count, rng=random.Random(seed))
    assert runs.shape == (count, 16)
    assert (np.diff(runs, axis=1) % frames == 1 % frames).all()


def test_no_frames_is_an_error() -> None:
    with pytest.raises(ModelInputError, match="without frames"):
        sample_snippets([], 4)


def test_a_window_that_moves_one_period_keeps_its_other_cells() -> None:
    before, after = grid_cells(0, 16 * SECOND, SECOND), grid_cells(SECOND, 17 * SECOND, SECOND)
    assert list(before)[1:] == list(after)[:-1]


def test_only_whole_cells_are_in_a_window() -> None:
    assert list(grid_cells(SECOND // 2, 3 * SECOND + 1, SECOND)) == [1, 2]
    assert list(grid_cells(1, SECOND, SECOND)) == []


def test_a_stream_at_the_trained_rate_gives_consecutive_frames() -> None:
    times = np.arange(100) * (SECOND // 25)
    chosen = frames_of_cell(times, 2, SECOND, fps=25)
    np.testing.assert_array_equal(np.diff(chosen), 1)
    np.testing.assert_allclose(times[chosen].mean() / SECOND, 2.5, atol=0.04)


def test_a_slow_stream_shows_the_same_span_of_time() -> None:
    times = np.arange(40) * (SECOND // 10)
    chosen = frames_of_cell(times, 2, SECOND, fps=25)
    span = (times[chosen[-1]] - times[chosen[0]]) / SECOND
    assert abs(span - 15 / 25) <= 0.1


@given(
    st.lists(st.integers(0, 5 * SECOND), min_size=1, max_size=80, unique=True).map(sorted),
    st.integers(0, 4),
    st.sampled_from([8.0, 25.0, 60.0]),
)
def test_frames_come_from_their_cell_alone_and_are_the_nearest(
    times: list[int], cell: int, fps: float
) -> None:
    inside = [i for i, t in enumerate(times) if cell * SECOND <= t < (cell + 1) * SECOND]
    if not inside:
        with pytest.raises(ModelInputError, match="no frame"):
            frames_of_cell(times, cell, SECOND, fps=fps)
        return
    chosen = frames_of_cell(times, cell, SECOND, fps=fps)
    for step, index in enumerate(chosen):
        wanted = cell * SECOND + SECOND // 2 + round((step - 7.5) * 1e9 / fps)
        assert index in inside
        assert abs(times[index] - wanted) == min(abs(times[i] - wanted) for i in inside)


@given(st.integers(1, 60), st.integers(0, 60))
def test_frames_before_and_after_the_cell_change_nothing(before: int, after: int) -> None:
    times = np.arange(120) * (SECOND // 30)
    alone = times[60:90]
    part = times[60 - before : 90 + min(after, 30)]
    chosen = part[frames_of_cell(part, 2, SECOND, fps=30)]
    np.testing.assert_array_equal(chosen, alone[frames_of_cell(alone, 2, SECOND, fps=30)])
