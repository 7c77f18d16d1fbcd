"""Examples for the gait network: windows of walks with what a teacher or a label says of them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.features.gait_window import GaitPreprocessing, resample
from jack_stream.models.labels import EMOTION_GAIT
from trainers.bpm_gcn.teacher import FRAME_RATE_HZ, FRAMES, Teacher
from trainers.data.walks import Walk, class_indices, cut

__all__ = ["Examples", "distilled", "for_teacher", "labelled", "matching", "split"]

_TEACHER_S = FRAMES / FRAME_RATE_HZ


@dataclass(frozen=True)
class Examples:
    """Windows and their targets.

    Attributes:
        windows: ``float32[N, frames, 16, 3]`` on the preprocessing's grid, metres.
        targets: ``float32[N, 4]``, a distribution over `EMOTION_GAIT` each.
        clips: names of the recordings they come from, ``[N]``.
    """

    windows: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    clips: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The most likely class of each."""
        return self.targets.argmax(1)

    @property
    def clip_weights(self) -> npt.NDArray[np.float64]:
        """Weights that give every recording the same say, ``[N]``, of mean 1."""
        _, at, counts = np.unique(self.clips, return_inverse=True, return_counts=True)
        weights: npt.NDArray[np.float64] = 1.0 / counts[at]
        return weights / weights.mean()

    def take(self, which: npt.NDArray[np.bool_]) -> Examples:
        """Those that a mask ``[N]`` chooses."""
        return Examples(self.windows[which], self.targets[which], self.clips[which])

    def digest(self) -> str:
        """SHA-256 over everything."""
        names = "\n".join(self.clips.tolist()).encode()
        return hashlib.sha256(self.windows.tobytes() + self.targets.tobytes() + names).hexdigest()

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """All of them, in order.

        Raises:
            UsageError: there are none.
        """
        if not sum(map(len, parts)):
            raise UsageError("there is nothing to learn from: no walk is left of the data given")
        return cls(
            np.concatenate([part.windows for part in parts]),
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.clips for part in parts]),
        )


def matching(walks: Sequence[Walk], patterns: Sequence[str]) -> list[Walk]:
    """The walks whose name fits one of the patterns (``*`` is anything)."""
    return [w for w in walks if any(fnmatchcase(w.name, pattern) for pattern in patterns)]


def labelled(walks: Sequence[Walk], preprocessing: GaitPreprocessing, hop_s: float) -> Examples:
    """Examples of the walks that have a label, which is the target."""
    known = [walk for walk in walks if walk.label is not None]
    certain = np.eye(len(EMOTION_GAIT), dtype=np.float32)
    return _examples(
        [
            (walk, windows, np.repeat(certain[[index]], len(windows), axis=0))
            for walk, index in zip(known, class_indices(known).tolist(), strict=True)
            for windows, _ in [cut(walk, preprocessing, hop_s)]
        ],
        preprocessing,
    )


def distilled(
    walks: Sequence[Walk],
    teacher: Teacher,
    preprocessing: GaitPreprocessing,
    hop_s: float,
    *,
    neutral: Sequence[str] = (),
    neutral_share: float = 0.7,
) -> Examples:
    """Examples of walks with the teacher's view of them, whatever their own label.

    Args:
        walks: recordings.
        teacher: looks at the middle 2.5 s of each window.
        preprocessing: the windows' grid.
        hop_s: between two windows.
        neutral: patterns of the names of ordinary walks.
        neutral_share: what of an ordinary walk's target is neutral; the rest is the teacher's.
    """
    ordinary = {walk.name for walk in matching(walks, neutral)}
    is_neutral = np.array([label == "neutral" for label in EMOTION_GAIT], np.float32)
    parts = []
    for walk in walks:
        windows, starts = cut(walk, preprocessing, hop_s)
        targets = teacher.probabilities(for_teacher(walk, starts, preprocessing))
        if walk.name in ordinary:
            targets = (1 - neutral_share) * targets + neutral_share * is_neutral
        parts.append((walk, windows, targets))
    return _examples(parts, preprocessing)


def split(examples: Examples, share: float) -> tuple[Examples, Examples]:
    """Training and validation examples, divided by recording, the same in every run."""
    held_out = {name: zlib.crc32(name.encode()) % 1000 < 1000 * share for name in examples.clips}
    mask = np.array([held_out[name] for name in examples.clips], np.bool_)
    return examples.take(~mask), examples.take(mask)


def for_teacher(
    walk: Walk, starts: npt.NDArray[np.float64], preprocessing: GaitPreprocessing
) -> npt.NDArray[np.float64]:
    """What the teacher sees of the windows: their middle, at its own frame rate."""
    window_s = preprocessing.frames / preprocessing.frame_rate_hz
    repeats = max(1, int(np.ceil(window_s * walk.frame_rate_hz / len(walk.joints))))
    joints = np.tile(walk.joints, (repeats, 1, 1))
    times = np.round(np.arange(len(joints)) / walk.frame_rate_hz * 1e9).astype(np.int64)
    seen = np.isfinite(joints).all(-1).astype(np.float64)
    begin = starts + max(0.0, (window_s - _TEACHER_S) / 2)
    return np.stack(
        [
            resample(
                times, joints, seen, round(t * 1e9), frames=FRAMES, frame_rate_hz=FRAME_RATE_HZ
            ).joints
            for t in begin
        ]
    )


def _examples(
    parts: Sequence[tuple[Walk, npt.NDArray[np.float64], npt.NDArray[np.float32]],],
    preprocessing: GaitPreprocessing,
) -> Examples:
    if not parts:
        frames = preprocessing.frames
        return Examples(
            np.zeros((0, frames, 16, 3), np.float32),
            np.zeros((0, len(EMOTION_GAIT)), np.float32),
            np.array([], np.str_),
        )
    return Examples(
        np.concatenate([windows for _, windows, _ in parts]).astype(np.float32),
        np.concatenate([targets for *_, targets in parts]).astype(np.float32),
        np.concatenate([np.repeat(walk.name, len(windows)) for walk, windows, _ in parts]),
    )
