import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.features.localization import (
    Segment,
    present_classes,
    propose,
    suppress,
    upsample,
)

REFERENCE_THRESHOLDS = tuple(0.5 + 0.025 * i for i in range(9))


@pytest.mark.parametrize(
    ("thresholds", "foreground"),
    [("original", None), ("jack_thresholds", REFERENCE_THRESHOLDS)],
)
def test_proposals_meet_the_released_code(
    shared: Path, thresholds: str, foreground: tuple[float, ...] | None
) -> None:
    folder = shared / "golden/tsl_eval"
    outputs = np.load(folder / "model_outputs.npz")
    rates = json.loads((folder / "fps_dict.json").read_text())
    golden = json.loads((folder / f"p_first/{thresholds}/temp_result.json").read_text())
    extra = {} if foreground is None else {"foreground_thresholds": foreground}
    for video, expected in golden["results"].items():
        found = propose(
            outputs[f"{video}_vid_score"][0],
            outputs[f"{video}_cas_sigmoid_fuse"][0],
            rates[video],
            **extra,
        )
        ours = sorted(("np"[s.label], s.score, s.start_s, s.end_s) for s in found)
        theirs = sorted((p["label"], p["score"], *p["segment"]) for p in expected)
        assert [s[0] for s in ours] == [s[0] for s in theirs]
        np.testing.assert_allclose(
            [s[1:] for s in ours], [s[1:] for s in theirs], atol=1e-6, err_msg=video
        )


@pytest.mark.parametrize(("overlap", "key"), [(0.5, "keep_0_5"), (0.3, "keep_0_3")])
def test_suppression_meets_the_released_code(shared: Path, overlap: float, key: str) -> None:
    golden = np.load(shared / "golden/tsl_eval/nms.npz")
    boxes = [Segment(int(b[0]), *(float(x) for x in b[1:])) for b in golden["boxes"]]
    kept = [(s.label, s.score, s.start_s, s.end_s) for s in suppress(boxes, overlap)]
    np.testing.assert_allclose(kept, golden[key])


def test_upsampling_meets_the_released_code(shared: Path) -> None:
    folder = shared / "golden/tsl_eval"
    cas = np.load(folder / "model_outputs.npz")["video_01_cas_sigmoid_fuse"][0]
    golden = np.load(folder / "steps_video_01.npz")["upsampled"][..., 0]
    np.testing.assert_allclose(upsample(cas, 24)[:, :2], golden, atol=1e-6)


def test_one_clear_stretch_is_found_where_it_is() -> None:
    cas = np.full((50, 3), 0.001)
    cas[:, 2] = 0.95  # background
    cas[20:30, 1], cas[20:30, 2] = 0.9, 0.05
    best = propose([0.1, 0.8], cas, 25.0)[0]
    assert best.label == 1
    assert best.start_s == pytest.approx(20 * 16 / 25, abs=1.0)
    assert best.end_s == pytest.approx(30 * 16 / 25, abs=1.0)


def test_present_classes_are_those_above_half_or_the_best() -> None:
    assert present_classes([0.5, 0.2]) == [0]
    assert present_classes([0.6, 0.9]) == [0, 1]
    assert present_classes([0.2, 0.3]) == [1]


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(5, 60))
@settings(max_examples=30, deadline=None)
def test_segments_lie_in_the_video_and_do_not_overlap_too_much(
    rows: int, seed: int, rate: float
) -> None:
    rng = np.random.default_rng(seed)
    segments = propose(rng.random(2), rng.random((rows, 3)), rate)
    length = rows * 16 / rate
    for s in segments:
        assert 0 <= s.start_s < s.end_s <= length + 1e-9
    for label in {s.label for s in segments}:
        ranked = [s for s in segments if s.label == label]
        assert [s.score for s in ranked] == sorted((s.score for s in ranked), reverse=True)
        assert suppress(ranked, 0.5) == ranked


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"cas \[T, C \+ 1\].*\[10, 2\]"):
        propose([0.5, 0.5], np.zeros((10, 2)), 25.0)
