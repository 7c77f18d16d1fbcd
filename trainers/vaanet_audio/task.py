"""Voices in the training loop: from spectra to losses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.models.registry import Model, create
from jack_stream.runtime import jittor
from trainers.augmentation.sound import (
    band_limited,
    coloured,
    echoing,
    masked,
    mixed,
    noisy,
    placed,
    stretched,
)
from trainers.data.sounds import Recording
from trainers.loop import make_optimizer
from trainers.losses.class_weights import class_weights, weighted_mean
from trainers.losses.cross_entropy import cross_entropy
from trainers.metrics.classification import average_recall, confusion_matrix, softmax
from trainers.vaanet_audio.recipe import VoiceRecipe
from trainers.vaanet_audio.windows import (
    Spectra,
    Windows,
    even_weights,
    logits_of,
    mean_probabilities,
)

__all__ = ["VoiceTask"]

jt = jittor()
FloatArray = npt.NDArray[np.float32]


class VoiceTask:
    """VAANet's audio stream in the training loop.

    Args:
        recipe: the settings.
        labels: the classes.
        training: what is learned from.
        spectra: of these recordings.
        validation: what is not learned from, and its windows; empty recordings validate nothing.

    Attributes:
        model: what is trained.
        module: its Jittor module.
        optimizer: of its parameters.
    """

    def __init__(
        self,
        recipe: VoiceRecipe,
        labels: Sequence[str],
        training: Sequence[Recording],
        spectra: Spectra,
        *,
        validation: tuple[Sequence[Recording], Windows] | None = None,
    ) -> None:
        jt.set_global_seed(recipe.schedule.seed)
        self.model: Model = create("vaanet-audio", **recipe.architecture(len(labels)))
        self.module = self.model.module
        self.optimizer = make_optimizer(self.module, recipe.optimizer)
        self._recipe, self._voice, self._labels = recipe, recipe.voice, tuple(labels)
        self._spectra = [spectra[recording.path] for recording in training]
        self._classes = self._classes_of(training)
        counts = np.bincount(self._classes, minlength=len(labels))
        self._weights = class_weights(recipe.loss.class_weights, counts)
        self._validation = validation
        speakers = np.array([recording.speaker for recording in training])
        times_over = _times_over(speakers) if recipe.data.even_corpora else {}
        self._turns = [
            np.flatnonzero(speakers == who)
            for who in np.unique(speakers)
            for _ in range(times_over.get(who, 1))
        ]

    def batches(self, rng: np.random.Generator) -> Sequence[npt.NDArray[np.int64]]:
        """Numbers of the training recordings, batch by batch; a last one too small is left out.

        Where voices are normalised each by itself, a batch has an equal share of each of its.
        """
        if self._recipe.data.of_one_speaker:
            return self._by_speaker(rng)
        order, size = rng.permutation(len(self._classes)), self._recipe.schedule.batch
        cut = [order[i : i + size] for i in range(0, len(order), size)]
        return [batch for batch in cut if len(batch) >= size // 2] or cut

    def _by_speaker(self, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
        """Batches of whole shares of speakers; who has too few recordings says some twice."""
        share, size = self._recipe.data.of_one_speaker, self._recipe.schedule.batch
        shares = []
        for own in self._turns:
            order = rng.permutation(own)
            order = np.resize(order, max(len(order), share))
            shares += [order[i : i + share] for i in range(0, len(order) - share + 1, share)]
        mixed_up = [shares[i] for i in rng.permutation(len(shares))]
        per_batch = min(size // share, len(shares))
        whole = range(0, len(shares) - per_batch + 1, per_batch)
        return [np.concatenate(mixed_up[i : i + per_batch]) for i in whole]

    def loss(self, batch: npt.NDArray[np.int64], rng: np.random.Generator) -> dict[str, Any]:
        """The cross entropy of the chosen recordings, a window of each, augmented."""
        smooth, classes = self._recipe.loss.label_smoothing, len(self._labels)
        features = np.stack([self._sample(self._spectra[i], rng) for i in batch])
        certain = np.eye(classes, dtype=np.float32)[self._classes[batch]]
        targets = certain * np.float32(1 - smooth) + np.float32(smooth / classes)
        features, targets = mixed(features, targets, rng, self._recipe.augmentation.mixup)
        soft = jt.array(targets)
        voices = len(batch) // (self._recipe.data.of_one_speaker or len(batch))
        sounding = self._voice.sounding(features, self._recipe.model.audio_n_segments)
        heard = self.module(jt.array(features), voices, jt.array(sounding))
        losses = cross_entropy(heard["logits"], soft)
        return {"total": weighted_mean(losses, soft, self._weights)}

    def validate(self) -> dict[str, float]:
        """Cross entropy and average recall of the held-out recordings; nothing without any."""
        if self._validation is None:
            return {}
        recordings, windows = self._validation
        (logits,) = logits_of(self.model, windows, recordings, [self._voice.adaptation_s])
        truth = self._classes_of(recordings)
        right = softmax(logits)[np.arange(len(logits)), truth[windows.owner]]
        entropy = -(even_weights(windows.owner) * np.log(right + 1e-12)).mean()
        predicted = mean_probabilities(windows.owner, logits).argmax(1)
        matrix = confusion_matrix(truth, predicted, len(self._labels))
        return {"loss": float(entropy), "recall": average_recall(matrix)}

    def _classes_of(self, recordings: Sequence[Recording]) -> npt.NDArray[np.int64]:
        return np.array([self._labels.index(recording.label) for recording in recordings], np.int64)

    def _sample(
        self, speeds: tuple[npt.NDArray[np.float16], ...], rng: np.random.Generator
    ) -> FloatArray:
        how, frame_s = self._recipe.augmentation, self._voice.seconds(1)
        decibels = speeds[rng.integers(len(speeds))].astype(np.float32)
        if how.stretch:
            decibels = stretched(decibels, rng, how.stretch)
        power = np.power(np.float32(10.0), decibels / 10)
        if self._voice.kind == "log-mel":  # the paper's coefficients are of whole sounds, repeated
            power = placed(power, self._recipe.frames, rng, round(how.margin_s / frame_s))
        if how.colour_db:
            power = coloured(power, rng, how.colour_db)
        if rng.random() < how.echo:
            power = echoing(power, rng, frame_s)
        if rng.random() < how.noise:
            power = noisy(power, rng)
        if rng.random() < how.band_limit:
            power = band_limited(power, rng)
        return masked(self._voice.features(power, self._recipe.frames), rng, how.mask)


def _times_over(speakers: npt.NDArray[np.str_]) -> dict[str, int]:
    """How many times each speaker has a turn for all corpora to be heard about equally."""
    corpora = {who: who.partition("/")[0] for who in speakers.tolist()}
    counts = Counter(corpora[who] for who in speakers.tolist())
    most = max(counts.values())
    return {who: round(most / counts[corpus]) for who, corpus in corpora.items()}
