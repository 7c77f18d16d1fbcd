"""Recorded and made walks: reading them, and cutting them into the gait network's windows.

What is read is told apart by what is in it:

- Bandai-Namco's motion data set as joint positions (``pos_int16``), an ``.npz``;
- Emotion-Gait's ``features*.h5`` with ``labels*.h5`` beside it;
- Emotion-Gait as BPM-GCN's authors prepared it, ``*_joint.npy`` with ``*_label.pkl`` or ``.npy``
  beside it (`trainers.data.gait_arrays`);
- walks that `trainers.data.made_walks` made, an ``.npz``;
- walks from videos (`trainers.data.prepare.gaits`), an ``.npz`` each;
- a folder: all of these in it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import MissingDependencyError, SourceError
from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.features.skeleton import from_bandai_namco, from_emotion_gait, joint_index
from jack_stream.models.labels import EMOTION_GAIT
from trainers.data.gait_arrays import read_gait_arrays
from trainers.data.walk import EMOTION_GAIT_RATE_HZ, FloatArray, Walk

__all__ = ["Walk", "cut", "read_walks"]

EMOTION_GAIT_CODES = ("happy", "angry", "sad", "neutral")
"""What the published label files mean by 0 to 3; other than the network's order of classes."""

BANDAI_NAMCO_LABELS = {"happy": "happy", "sad": "sad", "angry": "angry", "normal": "neutral"}
"""Styles that name one of the four emotions."""


def read_walks(path: Path) -> list[Walk]:
    """All recordings of a file, or of all files in a folder.

    Raises:
        SourceError: a file can't be read, or is of no known kind.
        MissingDependencyError: an h5 file, and h5py is not installed.
    """
    if path.is_dir():
        return [walk for file in walk_files(path) for walk in read_walks(file)]
    if path.suffix == ".npy":
        return read_gait_arrays(path)
    if path.suffix in (".h5", ".hdf5"):
        return list(_emotion_gait(path))
    try:
        # numpy leaves a file open that turns out to be no archive, so it is opened here.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: can't be read as walks: {error}") from error
    readers = {"pos_int16": _bandai_namco, "walks": _made, "tracks": _tracked}
    for key, reader in readers.items():
        if key in arrays:
            try:
                return list(reader(arrays))
            except (KeyError, ValueError, IndexError) as error:
                raise SourceError(f"{path}: is damaged: {error!r}") from error
    raise SourceError(
        f"{path}: holds no walks (arrays: {', '.join(sorted(arrays)) or 'none'})",
        hint="It must be Bandai-Namco's positions, Emotion-Gait's h5, or made by "
        "`jack-train data make-gaits`.",
    )


def cut(
    walk: Walk, preprocessing: GaitPreprocessing, hop_s: float
) -> tuple[FloatArray, FloatArray]:
    """A walk's windows.

    A walk that is shorter than a window is repeated, as STEP does with its one-stride recordings.

    Args:
        walk: the recording.
        preprocessing: the windows' grid.
        hop_s: between the starts of two windows.

    Returns:
        ``float64[N, frames, 16, 3]`` on the grid and their starts in seconds ``float64[N]``; at
        least one.
    """
    length_s = (preprocessing.frames - 1) / preprocessing.frame_rate_hz
    needed = int(np.ceil(length_s * walk.frame_rate_hz)) + 1
    joints = walk.joints - walk.joints[:, [joint_index("root")]]
    joints = np.tile(joints, (max(1, -(-needed // len(joints))), 1, 1))
    times = np.arange(len(joints)) / walk.frame_rate_hz
    starts = np.arange(0.0, times[-1] - length_s + 1e-9, hop_s)
    visibility = np.isfinite(joints).all(-1).astype(np.float64)
    nanoseconds = np.round(times * 1e9).astype(np.int64)
    windows = [
        preprocessing.resample(nanoseconds, joints, visibility, round(start * 1e9)).joints
        for start in starts
    ]
    return np.stack(windows), starts


def _bandai_namco(arrays: dict[str, npt.NDArray[Any]]) -> Iterator[Walk]:
    ends = np.cumsum(arrays["length"])
    positions = arrays["pos_int16"]
    for i, end in enumerate(ends.tolist()):
        start = end - int(arrays["length"][i])
        style = str(arrays["style"][i])
        yield Walk(
            str(arrays["name"][i]),
            from_bandai_namco(positions[start:end] * float(arrays["scale"])),
            float(arrays["fps"][i]),
            BANDAI_NAMCO_LABELS.get(style),
            str(arrays["content"][i]),
            style,
        )


def _made(arrays: dict[str, npt.NDArray[Any]]) -> Iterator[Walk]:
    rate = float(arrays["frame_rate_hz"])
    for i, (joints, label) in enumerate(zip(arrays["walks"], arrays["label"], strict=True)):
        name = f"made-{int(arrays['seed'])}-{i:05d}"
        yield Walk(name, joints.astype(np.float64), rate, str(label), "walk", str(label))


def _tracked(arrays: dict[str, npt.NDArray[Any]]) -> Iterator[Walk]:
    rate = float(arrays["frame_rate_hz"])
    ends = np.cumsum(arrays["length"])
    for i, end in enumerate(ends.tolist()):
        joints = arrays["tracks"][end - int(arrays["length"][i]) : end].astype(np.float64)
        yield Walk(str(arrays["name"][i]), joints, rate, str(arrays["label"][i]) or None)


def _emotion_gait(path: Path) -> Iterator[Walk]:
    try:
        import h5py  # noqa: PLC0415 - an extra of the trainers
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: needs h5py", hint="Install it with: pip install 'jack-stream[train]'"
        ) from error
    labels = path.with_name(path.name.replace("features", "labels"))
    try:
        with h5py.File(path) as features, h5py.File(labels) as codes:
            for name in features:
                joints = np.asarray(features[name], np.float64).reshape(-1, 16, 3)
                label = EMOTION_GAIT_CODES[_code(codes[name][()])]
                yield Walk(name, from_emotion_gait(joints), EMOTION_GAIT_RATE_HZ, label)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise SourceError(
            f"{path}: can't be read as Emotion-Gait with the labels {labels.name}: {error}"
        ) from error


def _code(value: Any) -> int:
    code = np.asarray(value)
    if code.size != 1 or not 0 <= int(code.item()) < len(EMOTION_GAIT_CODES):
        raise ValueError(f"the label {code.tolist()} is none of 0 to {len(EMOTION_GAIT_CODES) - 1}")
    return int(code.item())


def walk_files(folder: Path) -> list[Path]:
    """The files of walks below a folder.

    Raises:
        SourceError: there are none.
    """
    patterns = ("*.npz", "features*.h5", "*_joint.npy")
    found = sorted({path for pattern in patterns for path in folder.rglob(pattern)})
    found = [path for path in found if not path.name.startswith(".")]
    if not found:
        raise SourceError(f"{folder}: holds no walks", hint=f"Looked for {', '.join(patterns)}.")
    return found


def class_indices(walks: Sequence[Walk]) -> npt.NDArray[np.int64]:
    """Each walk's class in the order of `EMOTION_GAIT`; -1 for a walk without a label."""
    known = {label: i for i, label in enumerate(EMOTION_GAIT)}
    return np.array([-1 if w.label is None else known[w.label] for w in walks], np.int64)
