"""How well voices are read: by recording, by speaker, and how far speakers differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from jack_stream.models.registry import Model
from jack_stream.weights.card import Decision, Metric
from trainers.data.sounds import Recording
from trainers.evaluation import ClipResults
from trainers.metrics.classification import (
    abstain_threshold,
    average_recall,
    confusion_matrix,
    fit_temperature,
    softmax,
)
from trainers.vaanet_audio.windows import Windows, even_weights, logits_of, mean_probabilities

__all__ = ["Heard", "SpeechResults", "crossed", "decision_of", "hear", "results_of", "trust"]


@dataclass(frozen=True)
class Heard:
    """What a network that did not learn from some recordings said of their windows.

    Attributes:
        part: what was held out together, in words.
        labels: names of the C classes.
        recordings: what was listened to.
        owner: the number of the recording that each window is of, ``int64[W]``.
        logits: ``float64[W, C]``, with what was heard of each voice before.
        at_first: what is said of a voice that was never heard before, likewise.
    """

    part: str
    labels: tuple[str, ...]
    recordings: tuple[Recording, ...]
    owner: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float64]
    at_first: npt.NDArray[np.float64]

    @property
    def unfamiliar(self) -> Heard:
        """The same, had every window been the first of its voice."""
        return replace(self, logits=self.at_first)

    @property
    def truth(self) -> npt.NDArray[np.int64]:
        """The class of each recording."""
        return np.array([self.labels.index(r.label) for r in self.recordings], np.int64)

    def among(self, labels: Iterable[str], corpus: str = "") -> Heard:
        """The recordings of some classes (and of one corpus), judged among these classes only."""
        kept = tuple(label for label in self.labels if label in set(labels))
        which = [
            i
            for i, r in enumerate(self.recordings)
            if r.label in kept and r.speaker.startswith(corpus)
        ]
        place = np.full(len(self.recordings), -1)
        place[which] = np.arange(len(which))
        mask = place[self.owner] >= 0
        columns = [self.labels.index(label) for label in kept]
        recordings = tuple(self.recordings[i] for i in which)
        logits, at_first = (x[mask][:, columns] for x in (self.logits, self.at_first))
        return Heard(self.part, kept, recordings, place[self.owner][mask], logits, at_first)


@dataclass(frozen=True)
class SpeechResults(ClipResults):
    """Besides what is said of recordings: who spoke, and who was held out together.

    Attributes:
        speakers: of the recordings ``[M]``; empty where nobody says.
        parts: what each recording was held out with ``[M]``.
    """

    speakers: npt.NDArray[np.str_]
    parts: npt.NDArray[np.str_]

    def recall_by(self, group: npt.NDArray[np.str_]) -> dict[str, tuple[int, float]]:
        """Recordings and average recall of each of a grouping ``[M]``."""
        found = {}
        for name in np.unique(group):
            at = group == name
            matrix = confusion_matrix(self.truth[at], self.predicted[at], len(self.labels))
            found[str(name)] = (int(at.sum()), average_recall(matrix))
        return found

    @property
    def spread(self) -> tuple[int, float, float]:
        """Parts, and the mean and standard deviation of their average recalls."""
        recalls = [recall for _, recall in self.recall_by(self.parts).values()]
        return len(recalls), float(np.mean(recalls)), float(np.std(recalls))

    def lines(self) -> list[str]:
        """Recalls and confusion matrix, then the parts' mean and spread and the speakers."""
        count, mean, deviation = self.spread
        lines = super().lines()
        if count > 1:
            lines += ["", f"average recall of {count} parts: mean {mean:.3f}, s.d. {deviation:.3f}"]
        by_speaker = self.recall_by(self.speakers)
        if len(by_speaker) > 1:
            lines += ["", "speaker          recordings  average recall"]
            lines += [f"{who:16} {n:10d}  {recall:.3f}" for who, (n, recall) in by_speaker.items()]
        return lines

    def metrics(self, where: str) -> list[Metric]:
        """As of any recordings, and the parts' mean and spread behind the average recall."""
        first, *others = super().metrics(where)
        count, mean, deviation = self.spread
        if count < 2:
            return [first, *others]
        note = f"over {count} parts of the speakers, each held out in turn"
        between = [
            Metric(name=name, value=value, measured_on=first.measured_on, note=note)
            for name, value in (
                ("average recall, mean of parts", mean),
                ("average recall, s.d. of parts", deviation),
            )
        ]
        return [first, *between, *others]


def hear(
    part: str,
    model: Model,
    recordings: Sequence[Recording],
    windows: Windows,
    *,
    adaptation_s: float,
    labels: Sequence[str] = (),
) -> Heard:
    """What a network says of recordings, in windows as on a live stream.

    Args:
        part: what they are together.
        model: the network.
        recordings: of classes that it knows.
        windows: of these.
        adaptation_s: see `VoicePreprocessing`.
        labels: its classes; those of its card if there are none.
    """
    familiar, at_first = logits_of(model, windows, recordings, [adaptation_s, 0.0])
    names = tuple(labels) or model.labels
    return Heard(part, names, tuple(recordings), windows.owner, familiar, at_first)


def results_of(heard: Sequence[Heard], temperatures: Sequence[float]) -> SpeechResults:
    """Results over several parts, the probabilities of each at its own temperature."""
    parts = list(zip(heard, temperatures, strict=True))
    recordings = [r for one in heard for r in one.recordings]
    return SpeechResults(
        labels=heard[0].labels,
        clips=np.array([r.name for r in recordings]),
        truth=np.concatenate([one.truth for one in heard]),
        probabilities=np.concatenate(
            [mean_probabilities(one.owner, one.logits / t) for one, t in parts]
        ),
        windows=np.concatenate([np.bincount(one.owner) for one in heard]),
        speakers=np.array([r.speaker for r in recordings]),
        parts=np.concatenate([np.repeat(one.part, len(one.recordings)) for one in heard]),
    )


def decision_of(heard: Sequence[Heard]) -> Decision:
    """Temperature and threshold from windows of recordings that were not learned from."""
    if not heard:
        return Decision()
    logits = np.concatenate([one.logits for one in heard])
    truth = np.concatenate([one.truth[one.owner] for one in heard])
    weights = np.concatenate([even_weights(one.owner) for one in heard])
    temperature = fit_temperature(logits, truth, weights)
    threshold = abstain_threshold(softmax(logits / temperature), truth, weights)
    return Decision(temperature=temperature, abstain_below=threshold)


def crossed(parts: Sequence[Heard]) -> list[Decision]:
    """For each part the decision that the other parts lead to."""
    return [decision_of([other for other in parts if other is not held]) for held in parts]


def trust(parts: Sequence[Heard]) -> list[Metric]:
    """How often windows of held-out speakers are announced, and how often that is right."""
    if len(parts) < 2:
        return []
    kept = right = total = 0.0
    for heard, decision in zip(parts, crossed(parts), strict=True):
        probabilities = softmax(heard.logits / decision.temperature)
        weights = even_weights(heard.owner)
        said = weights * (probabilities.max(1) >= decision.abstain_below)
        total += weights.sum()
        kept += said.sum()
        right += (said * (probabilities.argmax(1) == heard.truth[heard.owner])).sum()
    where = f"windows of {sum(len(one.recordings) for one in parts)} recordings, speakers held out"
    note = "temperature and threshold of each part come from the other parts"
    figures = {"share announced": kept / total, "right when announced": right / max(kept, 1e-9)}
    return [
        Metric(name=k, value=float(v), measured_on=where, note=note) for k, v in figures.items()
    ]
