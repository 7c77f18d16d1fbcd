"""What the tasks of VAANet, CTEN and MART share in the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from jack_stream.models.layers import argmax
from jack_stream.models.registry import Model
from jack_stream.runtime import jittor
from trainers.audio_visual.division import Division
from trainers.audio_visual.features import FeatureStore
from trainers.audio_visual.network import forward, together
from trainers.audio_visual.recipe import ClipRecipe
from trainers.audio_visual.samples import Sample, Sampling, make_sample
from trainers.audio_visual.workers import Ahead, Workers
from trainers.data.clips import Clip
from trainers.loop import make_optimizer
from trainers.losses.class_weights import class_weights, weighted_mean
from trainers.losses.cross_entropy import cross_entropy
from trainers.losses.pcce import pcce
from trainers.metrics.classification import accuracy, confusion_matrix, softmax

__all__ = ["ClipTask", "labels_of", "logits_of", "share_right"]

jt = jittor()
Var = Any
RecipeT = TypeVar("RecipeT", bound=ClipRecipe)

_JUDGED_AT_ONCE = 4


class ClipTask(ABC, Generic[RecipeT]):
    """A method of pictures and sound in the training loop; each has a loss of its own.

    Args:
        recipe: the settings.
        model: what is trained.
        data: the clips.
        store: how they are read, and what a frozen backbone makes of them.

    Attributes:
        module: the Jittor module.
        optimizer: of its parameters.
        sampling: how training samples are drawn.
        judging: how clips that are judged become inputs.
    """

    def __init__(self, recipe: RecipeT, model: Model, data: Division, store: FeatureStore) -> None:
        self.recipe, self.model, self.data = recipe, model, data
        self.module = model.module
        self.module.freeze_backbone = recipe.model.freeze_backbone
        self.optimizer = self.make_optimizer()
        counts = np.bincount([clip.label for clip in data.training], minlength=len(data.labels))
        self._weights = class_weights(recipe.loss.class_weights, counts)
        self.store, self.workers = store, store.workers
        self.sampling = self.judging = store.sampling

    def make_optimizer(self) -> Any:
        """Over all that is trained."""
        return make_optimizer(self.module, self.recipe.optimizer)

    def batches(self, rng: np.random.Generator) -> Sequence[list[Sample]]:
        """Samples of the training clips in a new order; the last ones that fill no batch wait.

        A batch of a single clip could not be normalised.
        """
        training, size = self.data.training, self.recipe.schedule.batch
        order = rng.permutation(len(training))
        seeds = rng.integers(2**62, size=len(training)).tolist()
        whole = max(len(order) // size, 1)
        batches = [order[i * size : (i + 1) * size] for i in range(whole)]
        views = self.recipe.data.cached_views
        if views:
            self.store.fill(training, range(views))
            kept = [[(training[i], seeds[i] % views) for i in some] for some in batches]
            return Ahead(Workers(0), self._kept_sample, kept)
        jobs = [[(self.sampling, training[i], seeds[i]) for i in some] for some in batches]
        return Ahead(self.workers, make_sample, jobs)

    @abstractmethod
    def loss(self, batch: Sequence[Sample], rng: np.random.Generator) -> Mapping[str, Any]:
        """``total``, the method's loss of a batch, and ``accuracy``."""

    def validate(self) -> dict[str, float]:
        """Cross entropy and accuracy of the held-out clips, seen as on a live stream."""
        clips = self.data.validation
        probabilities = softmax(self.logits(clips))
        truth = np.array([clip.label for clip in clips])
        right = probabilities[np.arange(len(truth)), truth]
        matrix = confusion_matrix(truth, probabilities.argmax(1), len(self.data.labels))
        return {"loss": float(-np.log(right + 1e-12).mean()), "accuracy": accuracy(matrix)}

    def logits(self, clips: Sequence[Clip]) -> npt.NDArray[np.float64]:
        """Of clips, seen as on a live stream: float64 [N, C]."""
        if not self.module.freeze_backbone:
            return logits_of(self.model, self.judging, clips, self.workers)
        self.store.fill(clips, [None])
        jobs = [[(clip, None) for clip in some] for some in _in_groups(clips)]
        return _judged(self.model, self.judging, Ahead(Workers(0), self._kept_sample, jobs))

    def classified(self, logits: Var, labels: Var) -> Var:
        """The recipe's loss of a batch: a scalar."""
        penalty, polarities = self.recipe.loss.penalty, self.data.polarities
        weights, factor = self._weights, 1.0
        if weights is not None and len(labels) == 1:  # a mean over one would undo its weight
            factor, weights = float(weights[labels.item()]), None
        if penalty and polarities is not None:
            return factor * pcce(logits, labels, polarities, penalty=penalty, weights=weights)
        return factor * weighted_mean(cross_entropy(logits, labels), labels, weights)

    def finish(self) -> None:
        """Called once, when the best epoch's weights and optimizer have been read again."""

    def facts(self) -> dict[str, str]:
        """What the report should say besides what it says of every method."""
        return {}

    def _kept_sample(self, clip: Clip, view: int | None) -> Sample:
        return Sample(clip, self.store.load(clip, view), view)


def labels_of(batch: Sequence[Sample]) -> Var:
    """int32 [B]."""
    return jt.array(np.array([sample.clip.label for sample in batch], np.int32))


def share_right(logits: Var, labels: Var) -> Var:
    """The accuracy in a batch, a scalar."""
    return (argmax(logits, 1) == labels).float32().mean()


def logits_of(
    model: Model, sampling: Sampling, clips: Sequence[Clip], workers: Workers
) -> npt.NDArray[np.float64]:
    """A model's logits of clips, seen as on a live stream: float64 [N, C]."""
    jobs = [[(sampling, clip, None) for clip in some] for some in _in_groups(clips)]
    return _judged(model, sampling, Ahead(workers, make_sample, jobs))


def _judged(
    model: Model, sampling: Sampling, batches: Sequence[list[Sample]]
) -> npt.NDArray[np.float64]:
    with jt.no_grad():
        scored = [
            forward(model.module, sampling, together([s.inputs for s in batch]))["logits"].numpy()
            for batch in batches
        ]
    return np.concatenate(scored).astype(np.float64)


def _in_groups(clips: Sequence[Clip]) -> list[Sequence[Clip]]:
    return [clips[at : at + _JUDGED_AT_ONCE] for at in range(0, len(clips), _JUDGED_AT_ONCE)]
