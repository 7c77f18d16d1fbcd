"""The papers' figures of a bundle on a data set of clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.models.registry import Model
from jack_stream.weights.card import Metric
from trainers.audio_visual.division import known_polarity, labelled_clips
from trainers.audio_visual.network import sampling_of
from trainers.audio_visual.task import logits_of
from trainers.audio_visual.workers import Workers
from trainers.data.clips import Clip
from trainers.evaluation import ClipResults
from trainers.metrics.classification import accuracy, confusion_matrix, softmax, weighted_f1

__all__ = ["EmotionResults", "measure", "results_of"]

_WORKERS = 2
_FEW = 50
"""Clips that are read before a process has started."""


@dataclass(frozen=True)
class EmotionResults(ClipResults):
    """What was said of each clip, and whether its polarity was right.

    Attributes:
        polarities: 1 for the positive classes, float32 [C]; None where that is not known.
    """

    polarities: npt.NDArray[np.float32] | None = None

    @property
    def sentiments(self) -> npt.NDArray[np.int64] | None:
        """Counts int64[2, 2], truth by row: negative and positive clips, by the predicted class."""
        if self.polarities is None:
            return None
        return confusion_matrix(self.polarities[self.truth], self.polarities[self.predicted], 2)

    @property
    def _figures(self) -> dict[str, float]:
        figures = {"F1": weighted_f1(self.matrix)}
        if self.sentiments is not None:
            figures["sentiment accuracy"] = accuracy(self.sentiments)
            figures["sentiment F1"] = weighted_f1(self.sentiments)
        return figures

    def lines(self) -> list[str]:
        """Accuracies, recalls, and the confusion matrix."""
        counted, figures, *table = super().lines()
        more = [f"{name} {value:.3f}" for name, value in self._figures.items()]
        return [counted, ", ".join([figures, *more]), *table]

    def metrics(self, where: str) -> list[Metric]:
        """Those of `ClipResults`, F1, and both for the sentiment."""
        plain = [_by_clip(metric) for metric in super().metrics(where)]
        where = plain[0].measured_on
        notes = {"F1": "mean over the classes, each as often as it is true"}
        sentiment = "positive or negative, by the predicted class"
        return [
            *plain,
            *(
                Metric(name=name, value=value, measured_on=where, note=notes.get(name, sentiment))
                for name, value in self._figures.items()
            ),
        ]


def results_of(
    labels: Sequence[str],
    clips: Sequence[Clip],
    logits: npt.NDArray[np.float64],
    *,
    temperature: float,
    polarities: npt.NDArray[np.float32] | None,
) -> EmotionResults:
    """Results from the logits [N, C] of clips."""
    return EmotionResults(
        labels,
        np.array([clip.name for clip in clips]),
        np.array([clip.label for clip in clips], np.int64),
        softmax(logits / temperature),
        np.ones(len(clips), np.int64),
        polarities,
    )


def measure(
    model: Model, paths: Sequence[Path], names: Sequence[str], split: str | None
) -> EmotionResults:
    """What ``jack-train test`` says of a bundle of VAANet, CTEN or MART.

    Args:
        model: with its card.
        paths: data sets whose classes the model knows.
        names: patterns of clips' names.
        split: ``training``, ``validation``, ``test`` or ``all``; None takes the part for tests,
            which is the validation part of a set that has no other.

    Raises:
        UsageError: no clip fits, or a class is unknown to the model.
        SourceError: a set can't be read.
    """
    clips = [clip for path in paths for clip in labelled_clips(path, model.labels, split)]
    chosen = [clip for clip in clips if any(fnmatchcase(clip.name, name) for name in names)]
    if not chosen:
        raise UsageError(f"none of the {len(clips)} clips is named {' or '.join(names)}")
    card = model.origin.card if model.origin else None
    with Workers(_WORKERS if len(chosen) > _FEW else 0) as workers:
        said: Mapping[str, Any] = card.preprocessing if card else {}
        sampling = sampling_of(model, said.get("parts"), hide=said.get("hide", ""))
        logits = logits_of(model, sampling, chosen, workers)
    return results_of(
        model.labels,
        chosen,
        logits,
        temperature=card.decision.temperature if card else 1.0,
        polarities=known_polarity(model.labels),
    )


def _by_clip(metric: Metric) -> Metric:
    """A clip is looked at once, as a whole: there are no windows."""
    chance = metric.note.rpartition("; ")[2]
    return metric.model_copy(update={"note": f"by clip, seen once as a whole; {chance}"})
