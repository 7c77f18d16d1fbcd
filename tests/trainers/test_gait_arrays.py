"""Emotion-Gait as arrays: mapped right, and a pickle that can do nothing."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jack_stream.errors import SourceError
from jack_stream.features.skeleton import joint_index
from trainers.data.gait_arrays import read_gait_arrays
from trainers.data.walks import read_walks


def _write(folder: Path, labels: object, *, count: int = 4, suffix: str = "pkl") -> Path:
    joints = np.zeros((count, 3, 48, 16, 1), np.float32)
    joints[:, 1, :, joint_index("head")] = 1.7
    joints[:, 0, :30, joint_index("right_hand"), 0] = np.arange(1, 31) / 30
    joints[:, :, 30:] = 0.0
    path = folder / "train_joint.npy"
    np.save(path, joints)
    label = folder / f"train_label.{suffix}"
    if suffix == "npy":
        np.save(label, np.asarray(labels))
    else:
        label.write_bytes(pickle.dumps(labels))
    return path


@pytest.mark.parametrize(
    "codes", [[0, 1, 2, 3], (0, 1, 2, 3), np.arange(4), [np.int64(i) for i in range(4)]]
)
def test_labels_are_in_bpm_gcns_order(tmp_path: Path, codes: object) -> None:
    path = _write(tmp_path, (["a", "b", "c", "d"], codes))
    walks = read_walks(path)
    assert [walk.label for walk in walks] == ["happy", "sad", "angry", "neutral"]
    assert [walk.name for walk in walks] == ["train/a", "train/b", "train/c", "train/d"]
    assert walks[0].joints.shape == (30, 16, 3), "what is padded on is taken off"
    assert walks[0].joints[29, joint_index("right_hand"), 0] == pytest.approx(1.0)
    assert walks[0].joints[0, joint_index("head"), 1] == pytest.approx(1.7)
    assert read_walks(tmp_path)[3].label == "neutral"


def test_labels_may_be_an_array(tmp_path: Path) -> None:
    walks = read_gait_arrays(_write(tmp_path, [3, 3, 0, 1], suffix="npy"))
    assert [walk.label for walk in walks] == ["neutral", "neutral", "happy", "sad"]


class _Harmful:
    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.target}",)


def test_a_pickle_that_calls_something_calls_nothing(tmp_path: Path) -> None:
    path = _write(tmp_path, (["a"], [_Harmful(str(tmp_path / "harm"))]), count=1)
    with pytest.raises(SourceError, match=r"train_label\.pkl.*posix\.system|train_label\.pkl"):
        read_gait_arrays(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ((["a"], [0]), "must have 4 names"),
        ((["a"] * 4, [0, 1, 2, 4]), "the label 4 is none of 0 to 3"),
        ((["a"] * 4, [0.5] * 4), "whole numbers"),
        (["a"], "can't be read as names and labels"),
    ],
)
def test_labels_that_do_not_fit_are_named(tmp_path: Path, labels: object, complaint: str) -> None:
    with pytest.raises(SourceError, match=rf"train_label\.pkl: .*{complaint}"):
        read_gait_arrays(_write(tmp_path, labels))


def test_joints_of_another_shape_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "train_joint.npy", np.zeros((2, 48, 16, 3)))
    with pytest.raises(SourceError, match=r"train_joint\.npy: must have the shape"):
        read_gait_arrays(tmp_path / "train_joint.npy")
    np.save(tmp_path / "test_joint.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(SourceError, match=r"test_joint\.npy: can't be read"):
        read_gait_arrays(tmp_path / "test_joint.npy")


_WHOLE = pickle.dumps((["a", "b"], [0, 1]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.binary()
    | st.tuples(st.integers(0, len(_WHOLE) - 1), st.integers(0, 255)).map(
        lambda at: _WHOLE[: at[0]] + bytes([at[1]]) + _WHOLE[at[0] + 1 :]
    )
)
def test_no_pickle_is_a_traceback(tmp_path: Path, content: bytes) -> None:
    path = _write(tmp_path, None, count=2)
    (tmp_path / "train_label.pkl").write_bytes(content)
    try:
        read_gait_arrays(path)
    except SourceError as error:
        complaint = str(error)
    else:
        return
    assert "train_label.pkl" in complaint
