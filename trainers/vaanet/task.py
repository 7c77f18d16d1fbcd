"""VAANet in the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainers.audio_visual.network import forward, together
from trainers.audio_visual.samples import Sample
from trainers.audio_visual.task import ClipTask, labels_of, share_right
from trainers.vaanet.recipe import VAANetRecipe

__all__ = ["VAANetTask"]


class VAANetTask(ClipTask[VAANetRecipe]):
    """One look at every clip, and the polarity-consistent cross entropy."""

    def loss(self, batch: Sequence[Sample], _: np.random.Generator) -> dict[str, Any]:
        """The loss and the accuracy of a batch."""
        inputs = together([sample.inputs for sample in batch])
        logits = forward(self.module, self.sampling, inputs)["logits"]
        labels = labels_of(batch)
        return {"total": self.classified(logits, labels), "accuracy": share_right(logits, labels)}
