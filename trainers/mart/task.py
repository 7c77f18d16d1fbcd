"""MART's second stage in the training loop: both classifiers, and a running mean of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.models.registry import Model
from trainers.audio_visual.division import Division
from trainers.audio_visual.features import FeatureStore
from trainers.audio_visual.network import forward, together
from trainers.audio_visual.samples import Inputs, Sample
from trainers.audio_visual.task import ClipTask, labels_of, share_right
from trainers.data.clips import Clip
from trainers.mart.averaging import AveragingAdam
from trainers.mart.masking import spec_augment
from trainers.mart.recipe import MartRecipe

__all__ = ["MartTask"]


class MartTask(ClipTask[MartRecipe]):
    """Fine-tuning: the sum of both classifiers' losses; judged by the mean of the weights."""

    optimizer: AveragingAdam

    def __init__(
        self, recipe: MartRecipe, model: Model, data: Division, store: FeatureStore
    ) -> None:
        super().__init__(recipe, model, data, store)
        if not recipe.model.freeze_backbone:
            count = recipe.snippets.training
            self.sampling = replace(store.sampling, snippets=count, pieces=count)

    def make_optimizer(self) -> AveragingAdam:
        """Over everything, or over the classifiers alone."""
        self.module.train()
        vit = self.module.vit
        trained = [vit.a_fc, vit.v_fc] if self.recipe.model.freeze_backbone else [self.module]
        settings, averaging = self.recipe.optimizer, self.recipe.averaging
        return AveragingAdam(
            [p for part in trained for p in part.parameters() if not p.is_stop_grad()],
            settings.lr,
            weight_decay=settings.weight_decay,
            decay=averaging.decay,
            warm_up=averaging.warm_up,
        )

    def loss(self, batch: Sequence[Sample], rng: np.random.Generator) -> dict[str, Any]:
        """The loss and the accuracy of a batch."""
        inputs = together([self._augmented(sample.inputs, rng) for sample in batch])
        outputs = forward(self.module, self.sampling, inputs)
        labels = labels_of(batch)
        total = self.classified(outputs["logits_audio"], labels) + self.classified(
            outputs["logits_visual"], labels
        )
        return {"total": total, "accuracy": share_right(outputs["logits"], labels)}

    def logits(self, clips: Sequence[Clip]) -> npt.NDArray[np.float64]:
        """Of clips, by the mean of the weights: float64 [N, C]."""
        with self.optimizer.averaged():
            return super().logits(clips)

    def finish(self) -> None:
        """Deploy the mean."""
        self.optimizer.take_average()

    def _augmented(self, inputs: Inputs, rng: np.random.Generator) -> Inputs:
        how = self.recipe.augmentation
        if inputs.visual.dtype == np.float32:  # features that were kept
            return inputs
        audio = spec_augment(inputs.audio, rng, widest=how.frequency_mask, longest=how.time_mask)
        return Inputs(inputs.visual, audio)
