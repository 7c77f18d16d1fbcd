"""How well segments with a sentiment are found: the TSL-300 evaluation.

ActivityNet's matching and interpolated average precision per class and temporal overlap (tIoU),
as the released TSL-Net evaluator computes them. Two things are other than there: classes are named
by their label (the release prints the positive class's figure as nAP, and the other way round, for
TSL-300's own ground truth), and a class without any prediction has precision and recall 0 instead
of ending in an exception.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.features.localization import Segment

__all__ = [
    "TIOU_TSL_300",
    "LocalizationMetrics",
    "TrueSegment",
    "evaluate",
    "read_ground_truth",
]

FloatArray = npt.NDArray[np.float64]

TIOU_TSL_300 = (0.1, 0.15, 0.2, 0.25, 0.3)
"""The overlaps over which TSL-300's figures are averaged."""


@dataclass(frozen=True)
class TrueSegment:
    """An annotated stretch of a video: index of its class, start and end in seconds."""

    label: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class LocalizationMetrics:
    """Figures per temporal overlap; arrays are ``float64[tIoU]``.

    Attributes:
        tiou: the overlaps.
        average_precision: class name -> interpolated average precision.
        precision: mean over the classes of the mean of the cumulative precision over the ranked
            predictions (not the final value; so released, and the paper's F2 follows from it).
        recall: likewise.
    """

    tiou: tuple[float, ...]
    average_precision: Mapping[str, FloatArray]
    precision: FloatArray
    recall: FloatArray

    @property
    def mean_average_precision(self) -> FloatArray:
        """The mean over the classes, per overlap."""
        mean: FloatArray = np.mean(list(self.average_precision.values()), axis=0)
        return mean

    @property
    def f2(self) -> FloatArray:
        """F2 of precision and recall, per overlap; 0 where both are 0."""
        below = 4 * self.precision + self.recall
        f2: FloatArray = 5 * self.precision * self.recall / np.where(below > 0, below, 1.0)
        return f2

    def summary(self) -> dict[str, float]:
        """Means over the overlaps: mAP, recall, F2, and the average precision of each class."""
        per_class = {f"AP {k}": float(v.mean()) for k, v in self.average_precision.items()}
        return {
            "mAP": float(self.mean_average_precision.mean()),
            "recall": float(self.recall.mean()),
            "F2": float(self.f2.mean()),
            **per_class,
        }


def read_ground_truth(
    path: str | Path, subset: str = "test", labels: Sequence[str] = ("n", "p")
) -> dict[str, list[TrueSegment]]:
    """Annotated segments of a subset's videos from TSL-300's ``gt.json``.

    Args:
        path: the file.
        subset: ``train`` or ``test``.
        labels: the file's class names; a segment's label is its name's index here.

    Raises:
        UsageError: the file is not of that form or has another class.
    """
    try:
        database = json.loads(Path(path).read_text())["database"]
        return {
            video: [_true_segment(annotation, labels) for annotation in entry["annotations"]]
            for video, entry in database.items()
            if entry["subset"] == subset
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path} can't be read as TSL-300 ground truth: {type(error).__name__}: {error}",
            hint='it must hold {"database": {video: {"subset": ..., "annotations": '
            '[{"segment": [start, end], "label": ...}]}}} with the labels ' + ", ".join(labels),
        ) from error


def _true_segment(annotation: Mapping[str, Any], labels: Sequence[str]) -> TrueSegment:
    start, end = annotation["segment"]
    return TrueSegment(labels.index(annotation["label"]), float(start), float(end))


def evaluate(
    truth: Mapping[str, Sequence[TrueSegment]],
    predictions: Mapping[str, Sequence[Segment]],
    labels: Sequence[str] = ("negative", "positive"),
    tiou: tuple[float, ...] = TIOU_TSL_300,
) -> LocalizationMetrics:
    """Match predictions to annotated segments and sum up.

    Args:
        truth: annotated segments per video.
        predictions: predicted segments per video; a video that is not in ``truth`` has none.
        labels: class names; segments' labels are indices into them. Classes that ``truth`` never
            has are left out of the means.
        tiou: the temporal overlaps that a match needs.
    """
    names = [(i, name) for i, name in enumerate(labels) if _count(truth, i)]
    per_class = [_class_curves(truth, predictions, i, tiou) for i, _ in names]
    curves = np.array(per_class).reshape(len(names), 3, len(tiou))
    ap, precision, recall = curves.transpose(1, 0, 2)
    return LocalizationMetrics(
        tiou,
        {name: row for (_, name), row in zip(names, ap, strict=True)},
        precision.mean(0),
        recall.mean(0),
    )


def _count(truth: Mapping[str, Sequence[TrueSegment]], label: int) -> int:
    return sum(s.label == label for segments in truth.values() for s in segments)


def _class_curves(
    truth: Mapping[str, Sequence[TrueSegment]],
    predictions: Mapping[str, Sequence[Segment]],
    label: int,
    tiou: tuple[float, ...],
) -> FloatArray:
    """Average precision, mean precision and mean recall of a class: ``[3, tIoU]``."""
    ranked = [(v, s) for v, found in predictions.items() for s in found if s.label == label]
    ranked.sort(key=lambda pair: -pair[1].score)
    if not ranked:
        return np.zeros((3, len(tiou)))
    true = {v: [s for s in segments if s.label == label] for v, segments in truth.items()}
    hits = _hits(ranked, true, tiou)
    found = np.cumsum(hits, axis=1)
    recall = found / _count(truth, label)
    precision = found / np.arange(1, len(ranked) + 1)
    ap = [_interpolated(p, r) for p, r in zip(precision, recall, strict=True)]
    return np.array([ap, precision.mean(1), recall.mean(1)])


def _hits(
    ranked: list[tuple[str, Segment]],
    true: Mapping[str, list[TrueSegment]],
    tiou: tuple[float, ...],
) -> npt.NDArray[np.bool_]:
    """Which ranked prediction takes a true segment, ``[tIoU, predictions]``.

    Each prediction takes the one that it overlaps most among those that no better prediction has
    taken, if the overlap is large enough.
    """
    hits = np.zeros((len(tiou), len(ranked)), np.bool_)
    taken = {v: np.zeros((len(tiou), len(segments)), np.bool_) for v, segments in true.items()}
    for rank, (video, segment) in enumerate(ranked):
        if not true.get(video):
            continue
        overlap = _overlap(segment, true[video])
        for level, least in enumerate(tiou):
            free = np.where(taken[video][level], -1.0, overlap)
            best = int(free.argmax())
            if free[best] >= least:
                hits[level, rank] = taken[video][level, best] = True
    return hits


def _overlap(segment: Segment, true: list[TrueSegment]) -> FloatArray:
    """Intersection over union with each true segment."""
    start = np.array([s.start_s for s in true])
    end = np.array([s.end_s for s in true])
    shared = np.minimum(segment.end_s, end) - np.maximum(segment.start_s, start)
    shared = np.maximum(shared, 0)
    union = (segment.end_s - segment.start_s) + (end - start) - shared
    iou: FloatArray = shared / union
    return iou


def _interpolated(precision: FloatArray, recall: FloatArray) -> float:
    """All-point interpolated average precision: the area under the envelope of the curve."""
    p = np.concatenate([[0.0], precision, [0.0]])
    r = np.concatenate([[0.0], recall, [1.0]])
    envelope = np.maximum.accumulate(p[::-1])[::-1]
    return float((np.diff(r) * envelope[1:]).sum())
