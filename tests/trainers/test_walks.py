from pathlib import Path

import numpy as np
import pytest

from jack_stream.errors import SourceError
from jack_stream.features.gait_window import GaitPreprocessing, body_height, normalise
from jack_stream.features.skeleton import joint_index
from jack_stream.models.labels import EMOTION_GAIT
from trainers.augmentation.camera import mirrored, seen_by_a_camera
from trainers.bpm_gcn.examples import Examples, labelled, split
from trainers.data.made_walks import Variation, make_walk, write_walks
from trainers.data.walks import Walk, cut, read_walks

GRID = GaitPreprocessing()


def _walk(frames: int, rate: float = 30.0) -> Walk:
    joints = np.zeros((frames, 16, 3))
    joints[..., 1] = np.arange(16)
    joints[:, 1, 0] = np.arange(frames) / rate  # the spine's x tells the time
    return Walk("clock", joints, rate, "sad")


def test_windows_are_cut_on_the_grid_wherever_they_start() -> None:
    windows, starts = cut(_walk(240), GRID, 0.5)
    assert starts[:3].tolist() == [0.0, 0.5, 1.0]
    assert starts[-1] + 47 / 15 <= 239 / 30
    expected = starts[:, None] + np.arange(48) / 15
    np.testing.assert_allclose(windows[:, :, 1, 0], expected, atol=1e-9)


def test_a_short_walk_is_repeated() -> None:
    windows, starts = cut(_walk(30), GRID, 0.5)
    assert windows.shape[1:] == (48, 16, 3)
    assert len(starts) >= 1
    np.testing.assert_allclose(windows[0, 15, 1, 0], 0.0, atol=1e-9)


def test_the_same_seed_makes_the_same_walks(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_walks(tmp_path / f"{name}.npz", 4, seed)
    a, b, c = (read_walks(tmp_path / f"{name}.npz") for name in "abc")
    assert [walk.label for walk in a] == list(EMOTION_GAIT)
    np.testing.assert_array_equal(a[2].joints, b[2].joints)
    assert not np.array_equal(a[2].joints, c[2].joints, equal_nan=True)


def test_sad_walks_swing_their_hands_less_than_happy_ones() -> None:
    variation = Variation(dropout=0.0)
    swing = {}
    for label in ("happy", "sad"):
        gaits = [make_walk(label, np.random.default_rng(i), variation) for i in range(30)]
        swing[label] = np.mean([g[:, joint_index("left_hand")].std(0).sum() for g in gaits])
    assert swing["happy"] > 1.5 * swing["sad"]


def test_a_lost_joint_is_bridged_or_guessed_but_never_nan() -> None:
    variation = Variation(dropout=1.0)
    for seed in range(10):
        joints = make_walk("angry", np.random.default_rng(seed), variation).astype(np.float64)
        assert np.isnan(joints).any()
        windows, _ = cut(Walk("w", joints, 30.0, "angry"), GRID, 1.0)
        assert np.isfinite(windows).all()


def test_no_recording_stands_on_both_sides_of_a_split() -> None:
    clips = np.repeat([f"clip-{i}" for i in range(200)], 3)
    examples = Examples(
        np.zeros((600, 48, 16, 3), np.float32), np.zeros((600, 4), np.float32), clips
    )
    training, validation = split(examples, 0.2)
    assert not set(training.clips) & set(validation.clips)
    assert len(training) + len(validation) == 600
    assert 60 <= len(validation) <= 180


def test_every_recording_has_the_same_say() -> None:
    examples = labelled([_walk(240), _walk(120)], GRID, 0.5)
    several = Examples(
        examples.windows, examples.targets, np.array(["a"] * (len(examples) - 1) + ["b"])
    )
    weights = several.clip_weights
    assert weights[:-1].sum() == pytest.approx(weights[-1])
    assert weights.mean() == pytest.approx(1.0)


def test_mirroring_twice_changes_nothing_and_swaps_the_hands() -> None:
    joints = np.random.default_rng(0).normal(size=(5, 16, 3))
    left, right = joint_index("left_hand"), joint_index("right_hand")
    mirror = mirrored(joints)
    np.testing.assert_array_equal(mirror[:, left, 1:], joints[:, right, 1:])
    np.testing.assert_array_equal(mirror[:, left, 0], -joints[:, right, 0])
    np.testing.assert_array_equal(mirrored(mirror), joints)


def test_a_camera_disturbs_a_little() -> None:
    joints = make_walk("neutral", np.random.default_rng(0), Variation(dropout=0.0))
    upright = normalise(joints, heading="hips", height=1.6)
    same = seen_by_a_camera(upright, np.random.default_rng(1), strength=0.0)
    np.testing.assert_allclose(same, upright, atol=1e-12)
    seen = seen_by_a_camera(upright, np.random.default_rng(1))
    error = np.linalg.norm(seen - upright, axis=-1).mean()
    assert 0.01 < error < 0.2
    assert body_height(seen) == pytest.approx(1.6, rel=0.2)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"no archive at all"])
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "walks.npz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"walks\.npz"):
        read_walks(path)


def test_arrays_of_another_kind_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, faces=np.zeros(3))
    with pytest.raises(SourceError, match="arrays: faces"):
        read_walks(path)


def test_bandai_namco_says_what_it_holds(shared: Path) -> None:
    walks = read_walks(shared / "data/bandai_namco_styled_motion/dataset1_all_pos21.npz")
    assert len(walks) == 174
    straight = [w for w in walks if w.content == "walk" and w.label is not None]
    assert sorted(w.label or "" for w in straight) == sorted(EMOTION_GAIT * 2)
    assert {w.style for w in straight if w.label == "neutral"} == {"normal"}
    height = body_height(straight[0].joints)
    assert 1.3 < height < 1.9
