"""MART's first stage in the training loop: hide what matters to the emotion, and restore it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import BundleError
from jack_stream.features.wordpiece import ByteTokenizer, Tokenizer, WordPiece
from jack_stream.models.bert import Bert
from jack_stream.models.layers import get_weights, set_weights
from jack_stream.models.mart import normalised_pixels
from jack_stream.models.mart_pretraining import (
    MARTPretraining,
    drawn_mask,
    highest_tokens,
    temporal_scores,
)
from jack_stream.models.registry import Model
from jack_stream.runtime import jittor
from jack_stream.weights.checkpoint import read_checkpoint
from trainers.audio_visual.division import Division
from trainers.audio_visual.features import FeatureStore
from trainers.audio_visual.samples import Sample
from trainers.audio_visual.task import ClipTask, labels_of, share_right
from trainers.losses.mart import complementary_contrast, temporal_divergence
from trainers.mart.masking import hide_tubelets, mask_ratio, ranked_mask, spec_augment
from trainers.mart.recipe import MartRecipe
from trainers.mart.words import Lexicon, Script, Words

__all__ = ["PretrainingTask", "load_bert", "pretraining_network", "script_of"]

jt = jittor()
Var = Any
Outputs = Mapping[str, Var]

_JUDGED_RATIO = 0.5
_REVEALED = 0.1


class PretrainingTask(ClipTask[MartRecipe]):
    """The network with its decoder and its reader of words; its encoder is that of the classifier.

    Args:
        recipe: ``schedule`` is that of pre-training.
        model: ``mart``; what is learned ends in its weights.
        data: the clips.
        store: how they are read.
    """

    def __init__(
        self, recipe: MartRecipe, model: Model, data: Division, store: FeatureStore
    ) -> None:
        self._script = script_of(recipe)
        network = pretraining_network(recipe, model, self._script.vocabulary)
        super().__init__(recipe, Model("mart", model.architecture, network, None), data, store)
        self.model = model  # is judged, and ends in the bundle; the encoder is the same
        count = recipe.snippets.training
        self.sampling = replace(store.sampling, snippets=count, pieces=count)
        self._epoch = 0

    def facts(self) -> dict[str, str]:
        """What was there to be read."""
        clips = [*self.data.training, *self.data.validation]
        count = sum(clip.subtitles is not None for clip in clips)
        return {
            "subtitles": f"of {count} of the {len(clips)} clips that were learned from or chosen by"
            + ("" if count else "; the words' part of the losses had nothing to read"),
            "reader of words": str(self.recipe.text.weights or "began at random"),
            "lexicon": str(self.recipe.text.lexicon or "none: all words were believed"),
        }

    def batches(self, rng: np.random.Generator) -> Sequence[list[Sample]]:
        """One clip at a time."""
        batches = super().batches(rng)
        steps = -(-len(batches) // self.recipe.schedule.accumulate)
        self._epoch = self.optimizer.n_step // steps
        return batches

    def loss(self, batch: Sequence[Sample], rng: np.random.Generator) -> dict[str, Any]:
        """The terms of the loss of one clip."""
        epochs = self.recipe.schedule.epochs
        if self.recipe.model.variant == "paper":
            revealed = int(_REVEALED * self.module.vit.vid_model.tokens)
            rule = partial(ranked_mask, progress=self._epoch / epochs, revealed=revealed)
        else:
            rule = partial(drawn_mask, ratio=mask_ratio(self._epoch, epochs), rng=rng)
        how = self.recipe.augmentation
        (sample,) = batch
        audio = spec_augment(
            sample.inputs.audio, rng, widest=how.frequency_mask, longest=how.time_mask
        )
        return self._terms(sample, audio, rule)

    def validate(self) -> dict[str, float]:
        """The same terms for the held-out clips, with half of the tokens hidden."""
        rule = partial(highest_tokens, ratio=_JUDGED_RATIO)
        sums: dict[str, float] = {}
        clips = self.data.validation
        for clip in clips:
            sample = Sample(clip, self.sampling.sample(clip), None)
            for name, value in self._terms(sample, sample.inputs.audio, rule).items():
                sums[name] = sums.get(name, 0.0) + value.item() / len(clips)
        return {"loss": sums.pop("total"), **sums}

    def _terms(self, sample: Sample, audio: npt.NDArray[np.float32], rule: Any) -> dict[str, Any]:
        masks: list[npt.NDArray[np.bool_]] = []

        def kept_rule(attention: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
            masks.append(rule(attention))
            return masks[0]

        words = self._words(sample)
        pixels = sample.inputs.visual.astype(np.float32)
        heard = jt.array(audio[np.newaxis])
        ids = jt.array(words.numbers)
        out = self.module(jt.array(pixels[np.newaxis]), heard, ids, kept_rule, words.present)
        labels, weights = labels_of([sample]), self.recipe.loss
        terms = {
            "recovery": out["recovery"],
            "contrast": out["contrast"],
            "emotion": sum(
                self.classified(out[f"{of}logits_{stream}"], labels)
                for of in ("", "words_")
                for stream in ("audio", "visual")
            ),
        }
        total = weights.recovery * terms["recovery"] + terms["emotion"]
        if self.recipe.model.variant == "paper":
            terms["contrast"] = self._contrast(out, words)
            terms["temporal"] = self._divergence(out, pixels, heard, masks[0])
            total = total + weights.temporal * terms["temporal"]
        total = total + weights.contrast * terms["contrast"]
        right = share_right(out["logits_audio"] + out["logits_visual"], labels)
        return {"total": total, **terms, "accuracy": right}

    def _contrast(self, out: Outputs, words: Words) -> Var:
        saw, hear = out["words_visual"], out["words_audio"]
        tau = self.recipe.loss.temperature
        return sum(
            complementary_contrast(one, out["words"], other, words.said, temperature=tau)
            for one, other in ((saw, hear), (hear, saw))
        )

    def _divergence(
        self,
        out: Outputs,
        pixels: npt.NDArray[np.float32],
        heard: Var,
        mask: npt.NDArray[np.bool_],
    ) -> Var:
        """What hiding the masked tubelets from the encoder does to the emotion over time."""
        clips = jt.array(hide_tubelets(pixels, mask))
        spectrograms = heard.reshape(len(pixels), -1, heard.shape[-1])
        seen, sound, _ = self.module.vit.tokens(normalised_pixels(clips), spectrograms)
        visual, audio = self.module.steps(seen, sound)
        return temporal_divergence(out["temporal"], temporal_scores(visual + audio))

    def _words(self, sample: Sample) -> Words:
        label, polarities = sample.clip.label, self.data.polarities
        positive = None if polarities is None else bool(polarities[label])
        segments = self.sampling.snippets
        return self._script.read(sample.clip, segments, self.data.labels[label], positive)


def script_of(recipe: MartRecipe) -> Script:
    """The reader of subtitles that a recipe asks for.

    Raises:
        SourceError: a file that it names can't be read.
    """
    text = recipe.text
    tokenizer: Tokenizer = ByteTokenizer()
    if text.vocabulary is not None:
        tokenizer = WordPiece.from_file(text.vocabulary.expanduser())
    lexicon = Lexicon.read(text.lexicon.expanduser(), text.tolerance) if text.lexicon else None
    return Script(tokenizer, text.longest, lexicon)


def pretraining_network(recipe: MartRecipe, model: Model, vocabulary: int) -> MARTPretraining:
    """The network of pre-training around a classifier's own encoder.

    Args:
        recipe: says how large decoder and reader are.
        model: ``mart``.
        vocabulary: how many word pieces there are.

    Raises:
        BundleError: the weights of the reader that the recipe names do not fit.
    """
    width, text = recipe.model.width, recipe.text
    bert = Bert(
        vocabulary,
        width=width,
        depth=text.depth,
        heads=text.heads,
        positions=max(512, text.longest),
    )
    if text.weights is not None:
        load_bert(bert, text.weights.expanduser())
    # A classifier in evaluation mode would take its encoder along without gradients, for good.
    model.module.train()
    return MARTPretraining(
        model.module.vit,
        bert,
        width=width,
        n_classes=model.architecture["n_classes"],
        decoder_width=recipe.decoder.width,
        decoder_depth=recipe.decoder.depth,
    )


def load_bert(bert: Bert, path: Path) -> None:
    """Take the weights of a checkpoint of BERT, whatever stands on top of it there.

    Raises:
        BundleError: it can't be read, or does not fit.
    """
    expected = get_weights(bert)
    found = {
        name.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias"): value
        for name, value in read_checkpoint(path).tensors.items()
    }
    fits = {k: v for k, v in found.items() if k in expected and v.shape == expected[k].shape}
    missing = sorted(k for k in expected if k not in fits and not k.startswith("pooler."))
    if missing:
        raise BundleError(
            f"{path}: {len(missing)} weights of the reader of words are not in it or have another "
            f"shape, such as {missing[0]} {expected[missing[0]].shape}",
            hint="text.vocabulary, text.depth, text.heads and model.width must be that BERT's.",
        )
    set_weights(bert, {**expected, **fits})
