"""TSL-Net in the training loop: point supervision with pseudo labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jack_stream.models.registry import Model
from jack_stream.runtime import jittor
from trainers.adam import Adam
from trainers.data.tsl300 import Item, SentimentVideo
from trainers.losses.tsl import tsl_loss
from trainers.losses.tsl_seeds import search_seeds
from trainers.tsl_net.measure import localise
from trainers.tsl_net.recipe import SentimentRecipe

__all__ = ["SentimentTask"]

jt = jittor()


class SentimentTask:
    """TSL-Net in the training loop.

    Attributes:
        model: what is trained.
        module: its Jittor module.
        optimizer: of its parameters; the audio CNN's learning rate is a multiple of the others'.
    """

    def __init__(
        self,
        recipe: SentimentRecipe,
        model: Model,
        training: Sequence[SentimentVideo],
        validation: Sequence[SentimentVideo],
    ) -> None:
        self.model, self.module = model, model.module
        self._recipe, self._training, self._validation = recipe, training, validation
        self.module.train()  # in evaluation mode Jittor stops all gradients
        parameters = [p for p in self.module.parameters() if not p.is_stop_grad()]
        sound = {id(p) for p in self.module.cls_module.a_extractor.parameters()}
        how = recipe.optimizer
        self.optimizer = Adam(
            [
                {"params": [p for p in parameters if id(p) not in sound]},
                {
                    "params": [p for p in parameters if id(p) in sound],
                    "lr_factor": how.sound_factor,
                },
            ],
            how.lr,
            weight_decay=how.weight_decay,
        )

    def batches(self, rng: np.random.Generator) -> Sequence[int]:
        """Videos one by one, all of them before the first one comes again."""
        wanted = self._recipe.data.samples_per_epoch or len(self._training)
        passes = -(-wanted // len(self._training))
        drawn = np.concatenate([rng.permutation(len(self._training)) for _ in range(passes)])
        return [int(i) for i in drawn[:wanted]]

    def loss(self, batch: int, rng: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002
        """The losses of one video, with pseudo labels by what the network says of it now."""
        return self.item_loss(self._training[batch].item(self._recipe.data.hide))

    def item_loss(self, item: Item) -> dict[str, Any]:
        """The losses of one video's features and targets."""
        jt.gc()  # each length leaves blocks behind that no other fits: 6 GB instead of 4
        rgb, mel, points, labels, distribution = (
            jt.array(array[np.newaxis]) for array in vars(item).values()
        )
        outputs = self.module.supervised(rgb, mel, labels)
        found = search_seeds(outputs["cas_sigmoid_fuse"].numpy()[0], item.points)
        seeds = (jt.array(found[0][np.newaxis]), jt.array(found[1][np.newaxis]))
        return tsl_loss(
            outputs,
            points,
            distribution,
            seeds,
            weights=self._recipe.weights,
            variant=self._recipe.loss.variant,
        )

    def validate(self) -> Mapping[str, float]:
        """The paper's figures on the held-out videos; ``loss`` is 1 - mAP, so mAP decides."""
        results = localise(self.model, self._validation, hide=self._recipe.data.hide)
        figures = results.figures.summary()
        return {
            "loss": 1 - figures["mAP"],
            "mAP": figures["mAP"],
            "recall": figures["recall"],
            "F2": figures["F2"],
        }
