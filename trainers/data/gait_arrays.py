"""Emotion-Gait as BPM-GCN's authors prepared it: ``{train,test}_joint.npy`` with its labels.

::

    train_joint.npy       float [N, 3, 48, 16, 1], BPM-GCN's own order of joints
    train_label.pkl       (names, labels), or train_label.npy: labels [N]; 0 happy, 1 sad, 2 angry,
                          3 neutral (other than in the h5 files)
    train_movement.npy    [N, 8, 48, 16, 1] and train_affective.npy [N, 1488]: not read, since both
                          are computed from the joints as on a live stream

The pickle is read as data (`jack_stream.weights.unpickle`): numbers, texts, lists and arrays.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import BundleError, SourceError
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.weights.pickled import NumpyArray
from jack_stream.weights.unpickle import read_pickle
from trainers.data.walk import EMOTION_GAIT_RATE_HZ, Walk

__all__ = ["read_gait_arrays"]

_ENDING = "_joint.npy"


def read_gait_arrays(path: Path) -> list[Walk]:
    """The walks of a ``*_joint.npy``; what is zero at the end of a walk was padded on.

    Raises:
        SourceError: a file is missing or damaged, or they do not fit together.
    """
    if not path.name.endswith(_ENDING):
        raise SourceError(f"{path}: the name must end in {_ENDING}", hint="Its labels lie beside.")
    joints = _array(path)
    if joints.ndim != 5 or joints.shape[1] != 3 or joints.shape[3:] != (16, 1):
        raise SourceError(f"{path}: must have the shape [N, 3, T, 16, 1], not {[*joints.shape]}")
    names, labels = _labels(path, len(joints))
    points = joints[..., 0].transpose(0, 2, 3, 1).astype(np.float64)
    part = path.name.removesuffix(_ENDING)
    return [
        Walk(f"{part}/{name}", _unpadded(walk), EMOTION_GAIT_RATE_HZ, EMOTION_GAIT[label])
        for name, walk, label in zip(names, points, labels, strict=True)
    ]


def _labels(path: Path, count: int) -> tuple[list[str], list[int]]:
    stem = path.name.removesuffix(_ENDING)
    pickled, plain = (path.with_name(f"{stem}_label.{suffix}") for suffix in ("pkl", "npy"))
    source = pickled if pickled.is_file() else plain
    if pickled.is_file():
        names, codes = _names_and_codes(pickled)
    else:
        codes = _array(plain)
        names = [f"{i:04d}" for i in range(len(codes))]
    labels = np.asarray(codes).reshape(-1)
    if labels.dtype.kind not in "iu" or labels.size != count or len(names) != count:
        raise SourceError(
            f"{source}: must have {count} names and whole numbers, as {path.name} has walks, not "
            f"{len(names)} and {labels.size} of {labels.dtype}"
        )
    wrong = labels[(labels < 0) | (labels >= len(EMOTION_GAIT))]
    if wrong.size:
        raise SourceError(f"{source}: the label {wrong[0]} is none of 0 to {len(EMOTION_GAIT) - 1}")
    return names, labels.tolist()


def _names_and_codes(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    try:
        stored = path.read_bytes()  # a file would be asked for as much as its contents claim
        names, codes = read_pickle(io.BytesIO(stored), str(path), len(stored))
        numbers = [_plain(code) for code in codes] if isinstance(codes, list) else _plain(codes)
        return [str(_plain(name)) for name in _plain(names)], np.asarray(numbers)
    except (OSError, BundleError, ValueError, TypeError) as error:
        raise SourceError(f"{path}: can't be read as names and labels: {error}") from error


def _plain(value: Any) -> Any:
    return value.decoded() if isinstance(value, NumpyArray) else value


def _array(path: Path) -> npt.NDArray[Any]:
    try:
        with path.open("rb") as file:
            array: npt.NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path}: can't be read as an array: {error}") from error
    if array.dtype.kind not in "fiu":
        raise SourceError(f"{path}: must hold numbers, not {array.dtype}")
    return array


def _unpadded(walk: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    filled = np.flatnonzero(walk.any((1, 2)))
    return walk[: int(filled[-1]) + 1] if filled.size else walk
