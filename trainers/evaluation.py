"""How well a gait bundle, or the teacher, reads recordings: clip by clip."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jack_stream.errors import SourceError, UsageError
from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.models.labels import EMOTION_GAIT
from trainers.data.gait import Examples, distilled, labelled, matching
from trainers.data.walks import read_walks
from trainers.metrics.classification import (
    accuracy,
    average_recall,
    confusion_matrix,
    per_clip,
    recalls,
)
from trainers.teacher import Teacher

__all__ = ["TEST_HOP_S", "ClipResults", "Judge", "evaluate", "evaluate_teacher", "test_examples"]

FloatArray = npt.NDArray[np.float64]
TEST_HOP_S = 0.5
Judge = Callable[[Examples], FloatArray]
"""From examples to probabilities ``[N, 4]`` of their windows."""


@dataclass(frozen=True)
class ClipResults:
    """What was said of each recording: the mean of its windows' probabilities.

    Attributes:
        clips: names of the recordings ``[M]``.
        truth: their classes ``int64[M]``.
        probabilities: ``float64[M, 4]``.
        windows: windows of each ``int64[M]``.
    """

    clips: npt.NDArray[np.str_]
    truth: npt.NDArray[np.int64]
    probabilities: FloatArray
    windows: npt.NDArray[np.int64]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The likeliest class of each recording."""
        return self.probabilities.argmax(1)

    @property
    def matrix(self) -> npt.NDArray[np.int64]:
        """The confusion matrix of the recordings."""
        return confusion_matrix(self.truth, self.predicted, len(EMOTION_GAIT))

    @property
    def average_recall(self) -> float:
        """The unweighted mean over the classes that have recordings."""
        return average_recall(self.matrix)

    def lines(self) -> list[str]:
        """A readable table: recalls, and the confusion matrix."""
        shares = recalls(self.matrix)
        head = " ".join(f"{label:>8}" for label in EMOTION_GAIT)
        rows = [
            f"{label:>8} {' '.join(f'{n:8d}' for n in row)}   recall {share:.2f}"
            for label, row, share in zip(EMOTION_GAIT, self.matrix, shares, strict=True)
            if row.sum()
        ]
        return [
            f"{len(self.clips)} recordings, {int(self.windows.sum())} windows",
            f"average recall {self.average_recall:.3f}, accuracy {accuracy(self.matrix):.3f}",
            f"   truth {head}",
            *rows,
        ]

    def write_csv(self, path: Path) -> None:
        """One line per recording.

        Raises:
            SourceError: the file can't be written.
        """
        try:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["recording", "windows", "truth", "predicted", *EMOTION_GAIT])
                rows = zip(
                    self.clips.tolist(),
                    self.windows.tolist(),
                    _names(self.truth),
                    _names(self.predicted),
                    self.probabilities.round(4).tolist(),
                    strict=True,
                )
                writer.writerows([*fields, *values] for *fields, values in rows)
        except OSError as error:
            raise SourceError(f"{path}: can't be written: {error.strerror}") from error


def evaluate(examples: Examples, judge: Judge) -> ClipResults:
    """Judge labelled examples and sum up by recording.

    Raises:
        UsageError: there are no labelled recordings.
    """
    if not len(examples):
        raise UsageError("there is no labelled walk to test on")
    clips, probabilities = per_clip(judge(examples), examples.clips)
    _, first, windows = np.unique(examples.clips, return_index=True, return_counts=True)
    return ClipResults(clips, examples.classes[first], probabilities, windows)


def test_examples(path: Path, names: Sequence[str], grid: GaitPreprocessing) -> Examples:
    """A file's labelled walks whose name fits, in overlapping windows.

    Raises:
        UsageError: there is none.
    """
    examples = labelled(matching(read_walks(path.expanduser()), names), grid, TEST_HOP_S)
    if not len(examples):
        raise UsageError(f"{path}: has no labelled walk named {' or '.join(names)}")
    return examples


def evaluate_teacher(teacher: Teacher, paths: Sequence[Path], names: Sequence[str]) -> ClipResults:
    """What the teacher alone makes of the labelled walks whose name fits."""
    walks = matching([walk for path in paths for walk in read_walks(path)], names)
    grid = GaitPreprocessing()
    judged = distilled([w for w in walks if w.label is not None], teacher, grid, TEST_HOP_S)
    examples = labelled(walks, grid, TEST_HOP_S)
    return evaluate(examples, lambda _: judged.targets.astype(np.float64))


def _names(classes: Sequence[int] | npt.NDArray[np.int64]) -> list[str]:
    return [EMOTION_GAIT[i] for i in classes]
