"""How well a model reads recordings: one answer for each, whatever its length."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from jack_stream.errors import SourceError
from jack_stream.weights.card import Metric
from trainers.metrics.classification import accuracy, average_recall, confusion_matrix, recalls

__all__ = ["ClipResults", "Results", "draw_confusion"]


class Results(Protocol):
    """What every method's test gives to the screen, the report, the card and a table."""

    def lines(self) -> list[str]:
        """A readable table."""

    def metrics(self, where: str) -> list[Metric]:
        """The figures for a card; ``where`` names what was tested on."""

    def write_csv(self, path: Path) -> None:
        """One line per recording; SourceError where the file can't be written."""

    def draw(self, path: Path, title: str) -> None:
        """A picture (.png) for the report."""


@dataclass(frozen=True)
class ClipResults:
    """What was said of each recording: the mean of its windows' probabilities.

    Attributes:
        labels: names of the C classes.
        clips: names of the recordings ``[M]``.
        truth: their classes ``int64[M]``.
        probabilities: ``float64[M, C]``.
        windows: windows of each ``int64[M]``.
    """

    labels: Sequence[str]
    clips: npt.NDArray[np.str_]
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    windows: npt.NDArray[np.int64]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The likeliest class of each recording."""
        return self.probabilities.argmax(1)

    @property
    def matrix(self) -> npt.NDArray[np.int64]:
        """The confusion matrix of the recordings, truth by row."""
        return confusion_matrix(self.truth, self.predicted, len(self.labels))

    @property
    def average_recall(self) -> float:
        """The unweighted mean over the classes that have recordings."""
        return average_recall(self.matrix)

    def lines(self) -> list[str]:
        """Recalls, and the confusion matrix."""
        shares = recalls(self.matrix)
        width = max(8, *map(len, self.labels))
        head = " ".join(f"{label:>{width}}" for label in self.labels)
        rows = [
            f"{label:>{width}} {' '.join(f'{n:{width}d}' for n in row)}   recall {share:.2f}"
            for label, row, share in zip(self.labels, self.matrix, shares, strict=True)
            if row.sum()
        ]
        return [
            f"{len(self.clips)} recordings, {int(self.windows.sum())} windows",
            f"average recall {self.average_recall:.3f}, accuracy {accuracy(self.matrix):.3f}",
            f"{'truth':>{width}} {head}",
            *rows,
        ]

    def metrics(self, where: str) -> list[Metric]:
        """Average recall, accuracy, and the recall of each class that has recordings."""
        where = f"{where}, {len(self.clips)} recordings"
        chance = 1 / len(self.labels)
        note = f"by recording: the mean of its windows' probabilities; chance is {chance:.2g}"
        figures = {"average recall": self.average_recall, "accuracy": accuracy(self.matrix)}
        for label, share in zip(self.labels, recalls(self.matrix), strict=True):
            if np.isfinite(share):
                figures[f"recall of {label}"] = float(share)
        return [Metric(name=k, value=v, measured_on=where, note=note) for k, v in figures.items()]

    def write_csv(self, path: Path) -> None:
        """One line per recording.

        Raises:
            SourceError: the file can't be written.
        """
        try:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["recording", "windows", "truth", "predicted", *self.labels])
                rows = zip(
                    self.clips.tolist(),
                    self.windows.tolist(),
                    [self.labels[i] for i in self.truth],
                    [self.labels[i] for i in self.predicted],
                    self.probabilities.round(4).tolist(),
                    strict=True,
                )
                writer.writerows([*fields, *values] for *fields, values in rows)
        except OSError as error:
            raise SourceError(f"{path}: can't be written: {error.strerror}") from error

    def draw(self, path: Path, title: str) -> None:
        """The confusion matrix."""
        draw_confusion(path, self.matrix, self.labels, title)


def draw_confusion(
    path: Path, matrix: npt.NDArray[np.int64], labels: Sequence[str], title: str
) -> None:
    """A confusion matrix with its counts."""
    side = max(4.5, 0.65 * len(labels))
    figure = Figure(figsize=(side, side - 0.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(matrix / np.maximum(matrix.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=30)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    axes.set_title(title, fontsize=9)
    for (row, column), count in np.ndenumerate(matrix):
        axes.text(column, row, str(count), ha="center", va="center")
    figure.savefig(path, dpi=110)
