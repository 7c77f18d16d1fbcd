from pathlib import Path

import numpy as np
import pytest

from trainers.augmentation.gait import choose, move, random_choose, random_move

CANDIDATES = ((-10.0, -5.0, 0.0, 5.0, 10.0), (0.9, 1.0, 1.1), (-0.2, -0.1, 0, 0.1, 0.2))


def test_moving_meets_the_released_code(shared: Path) -> None:
    positions = np.load(shared / "golden/gait_features.npz")["positions"][0]
    golden = np.load(shared / "golden/gait_graph.npz")["random_move_seed2"]
    rng = np.random.RandomState(2)
    angles, scales, shifts = CANDIDATES
    drawn = [rng.choice(values, 2) for values in (angles, scales, shifts, shifts)]
    moved = move(positions.transpose(2, 0, 1)[..., None], *drawn)
    np.testing.assert_allclose(moved, golden, atol=1e-12)


def test_choosing_meets_the_released_code(shared: Path) -> None:
    golden = np.load(shared / "golden/gait_graph.npz")
    gait = np.tile(np.load(shared / "golden/gait.npz")["x_p"][0][:, 1::4], (1, 4, 1, 1))
    padded = choose(gait[:, :8], 12, 2)
    np.testing.assert_allclose(padded, golden["random_choose_pad_seed3"], atol=1e-6)
    np.testing.assert_allclose(choose(gait, 12, 9), golden["random_choose_crop"], atol=1e-6)


@pytest.mark.parametrize("frames", [5, 48, 60])
def test_any_length_becomes_the_window_from_every_possible_start(frames: int) -> None:
    gait = np.arange(1.0, frames + 1).reshape(1, -1, 1, 1) * np.ones((3, 1, 16, 1))
    starts = set()
    for seed in range(400):
        chosen = random_choose(gait, 48, np.random.default_rng(seed))
        assert chosen.shape == (3, 48, 16, 1)
        values = chosen[0, :, 0, 0]
        kept = values[values > 0]
        assert len(kept) == min(frames, 48)
        assert (np.diff(kept) == 1).all()
        starts.add(int(kept[0]) if frames > 48 else int(np.flatnonzero(values)[0]))
    assert len(starts) == abs(frames - 48) + 1


def test_random_moves_depend_on_the_seed_alone_and_change_only_two_channels() -> None:
    gait = np.random.default_rng(0).normal(size=(8, 48, 16, 1)).astype(np.float32)
    one, same, other = (random_move(gait, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (one == same).all()
    assert (one[:2] != other[:2]).any()
    assert (one[2:] == gait[2:]).all()
    assert one.dtype == np.float32
