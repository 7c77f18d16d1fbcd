"""CTEN in the training loop: every clip is seen whole, without its key, and its key alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from jack_stream.features.erasing import Mask, kept_audio, kept_frames, key_and_context
from jack_stream.features.snippets import sample_snippets
from trainers.audio_visual.network import head, heard, together
from trainers.audio_visual.samples import Inputs, Sample, Sampling
from trainers.audio_visual.task import ClipTask, labels_of, share_right
from trainers.cten.recipe import CTENRecipe
from trainers.losses.erasing import erasing_loss

__all__ = ["CTENTask"]

Var = Any


class CTENTask(ClipTask[CTENRecipe]):
    """Erases segments by the attention of the first look, and asks for the same answer."""

    def loss(self, batch: Sequence[Sample], rng: np.random.Generator) -> dict[str, Any]:
        """The loss of the three views, and the accuracy of the first."""
        inputs = together([sample.inputs for sample in batch])
        piece = heard(self.module, self.sampling, inputs.audio)
        whole = head(self.module, inputs.visual, piece)
        labels = labels_of(batch)
        right = {"accuracy": share_right(whole["logits"], labels)}
        erasing = self.recipe.erasing
        if not erasing.enabled:
            return {"total": self.classified(whole["logits"], labels), **right}
        gammas = [whole[n].numpy() for n in ("gamma", "gamma_audio") if n in whole]
        key, context = key_and_context(*gammas, theta=erasing.theta, variant=self._variant)
        others = (
            self._erased(batch, inputs, piece, kept, rng.integers(2**62, size=len(batch)).tolist())
            for kept in (context, key)
        )
        total = erasing_loss(
            (whole["logits"], *others), labels, criterion=self.classified, variant=self._variant
        )
        return {"total": total, **right}

    @property
    def _variant(self) -> Literal["released", "paper"]:
        variant: Literal["released", "paper"] = self.module.variant
        return variant

    def _erased(
        self, batch: Sequence[Sample], inputs: Inputs, piece: Var, kept: Mask, seeds: list[int]
    ) -> Var:
        """The logits of the batch's kept segments.

        The release never erases the sound; what was made of it in the first look serves again.
        """
        jobs = list(zip(batch, kept, seeds, strict=True))
        if inputs.visual.dtype == np.float32:
            seen: list[npt.NDArray[Any]] = [self._from_kept(*job) for job in jobs]
        else:
            wanted = [(self.sampling, s.clip, k, seed) for s, k, seed in jobs]
            seen = list(self.workers.start(Sampling.erased, wanted)())
        if self._variant == "paper":
            audio = [kept_audio(a, k) for a, k in zip(inputs.audio, kept, strict=True)]
            piece = heard(self.module, self.sampling, np.stack(audio))
        return head(self.module, np.stack(seen), piece)["logits"]

    def _from_kept(self, sample: Sample, kept: Mask, seed: int) -> npt.NDArray[np.float32]:
        """The kept segments' features in the place of new snippets', from one of the kept views.

        A new snippet is drawn as always; the segment that its middle lies in stands for it.
        """
        rng = random.Random(seed)
        frames = sample.clip.n_frames
        runs = sample_snippets(kept_frames(kept, frames), kept.size, rng=rng)
        middles = (runs[:, runs.shape[1] // 2] - 1) // max(frames // kept.size, 1)
        view = self.store.load(sample.clip, rng.randrange(self.recipe.data.cached_views)).visual
        return np.asarray(view[np.minimum(middles, kept.size - 1)])
