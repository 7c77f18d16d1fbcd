"""MART's pre-training network: hide what matters to the emotion, and restore it.

Zhang et al., CVPR 2024, in the released form. The encoder sees everything; its visual tokens under
the mask are then replaced by one learned token, and a decoder restores their tubelets' pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import ModelInputError
from jack_stream.models.bert import Bert
from jack_stream.models.layers import Linear, Module, constant, softmax
from jack_stream.models.mart import BottleneckTransformer, normalised_pixels
from jack_stream.models.mart_contrast import ComplementaryLearning, Present, mean_of_words
from jack_stream.models.snippet_transformers import PATCH, TUBELET
from jack_stream.models.transformer import Block, LayerNorm, sinusoids
from jack_stream.runtime import jittor

__all__ = [
    "MARTPretraining",
    "drawn_mask",
    "highest_tokens",
    "temporal_scores",
    "tubelet_targets",
]

jt = jittor()
Var = Any
Mask = NDArray[np.bool_]

_TEXT_SHARE = 0.1
_REVEALED = 0.1
_MASKED_SEGMENTS = 0.5
_HEAD_WIDTH = 32  # of the decoder
_EPS = 1e-5


def highest_tokens(
    attention: NDArray[np.float32], ratio: float, *, lowest: bool = False
) -> NDArray[np.bool_]:
    """The tokens that are masked: the share ``ratio`` with the highest attention of each segment.

    Args:
        attention: float32 [N, tokens].
        ratio: 0..1; the count is rounded down.
        lowest: take those with the lowest attention instead.

    Returns:
        Bool [N, tokens].
    """
    count = int(attention.shape[1] * ratio)
    order = np.argsort(attention if lowest else -attention, axis=1, kind="stable")
    mask = np.zeros(attention.shape, bool)
    np.put_along_axis(mask, order[:, :count], values=True, axis=1)
    return mask


def drawn_mask(
    attention: NDArray[np.float32], ratio: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """The mask of one training step, by the released rule.

    Of the ``highest_tokens`` a tenth, drawn from the highest tenth of all tokens, is revealed, and
    every second segment by chance is not masked at all.

    Args:
        attention: float32 [N, tokens].
        ratio: 0..1, growing while training goes on.
        rng: of the draws.

    Returns:
        Bool [N, tokens].
    """
    mask = highest_tokens(attention, ratio)
    tokens = attention.shape[1]
    highest = np.argsort(-attention, axis=1, kind="stable")[:, : int(_REVEALED * tokens)]
    for row, best in zip(mask, highest, strict=True):
        row[rng.choice(best, min(int(_REVEALED * ratio * tokens), len(best)), replace=False)] = (
            False
        )
        if rng.random() >= _MASKED_SEGMENTS:
            row[:] = False
    return mask


def tubelet_targets(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the decoder restores: pixels normalised per tubelet and channel.

    Args:
        clips: float32 [N, 3, T, H, W], pixels 0..255.

    Returns:
        float32 [N, tokens, 2 * 16 * 16 * 3]: (pixel - mean) / (unbiased std + 1e-6).
    """
    n, c, t, h, w = clips.shape
    grid = clips.reshape(n, c, t // TUBELET, TUBELET, h // PATCH, PATCH, w // PATCH, PATCH)
    pixels = grid.transpose(0, 2, 4, 6, 3, 5, 7, 1).reshape(n, -1, TUBELET * PATCH * PATCH, c)
    centred = pixels - pixels.mean(2, keepdims=True)
    targets = centred / (pixels.std(2, ddof=1, keepdims=True) + 1e-6)
    return targets.reshape(n, targets.shape[1], -1).astype(np.float32)


def temporal_scores(steps: Var) -> Var:
    """(3): what is said of each segment times the whole video's probabilities.

    Args:
        steps: logits of one video's segments [S, n_classes].

    Returns:
        [S, n_classes].
    """
    return softmax(steps.mean(0, keepdims=True), 1) * steps


class _Language(Module):
    def __init__(self, bert: Bert) -> None:
        self.is_train = True
        self.bert = bert


class MARTPretraining(Module):
    """The released ``MART``: encoder, words, contrast, decoder.

    The release lays tokens out by segment and texts by video, so that only one video at a time is
    consistent; others are refused here.

    Args:
        encoder: of both streams.
        bert: of the words, of the same width.
        width: of the encoder's tokens.
        n_classes: of the emotions.
        decoder_width: of the decoder's tokens, a multiple of 32.
        decoder_depth: its blocks.
    """

    def __init__(
        self,
        encoder: BottleneckTransformer,
        bert: Bert,
        *,
        width: int = 768,
        n_classes: int = 8,
        decoder_width: int = 512,
        decoder_depth: int = 8,
    ) -> None:
        self.is_train = True
        self.vit = encoder
        self.lan_model = _Language(bert)
        self.tacl = ComplementaryLearning(width, n_classes)
        self.Vmask_token = jt.zeros((1, 1, width))
        self.decoder_embd = Linear(width, decoder_width)
        heads = decoder_width // _HEAD_WIDTH
        self.decoder_blocks = jt.nn.Sequential(
            *(Block(decoder_width, heads, split_bias=True, eps=_EPS) for _ in range(decoder_depth))
        )
        self.decoder_norm = LayerNorm(decoder_width, _EPS)
        self.decoder_pred = Linear(decoder_width, 3 * TUBELET * PATCH * PATCH)
        self._positions = constant(sinusoids(encoder.vid_model.tokens, decoder_width)[None])

    def execute(
        self,
        visual: Var,
        audio: Var,
        word_ids: Var,
        mask: Mask | Callable[[NDArray[np.float32]], Mask],
        present: Present = None,
    ) -> dict[str, Var]:
        """Encode one video, contrast it with its words, and restore what the mask hides.

        Args:
            visual: [1, S, 3, 16, 112, 112], pixels 0..255.
            audio: [1, 100 S, 128], normalised fbank.
            word_ids: int [S, W], the words said in each segment.
            mask: bool [S, tokens], True where a visual token is hidden; or what makes it of the
                attention, such as `drawn_mask`.
            present: float [S, W], 0 where a segment's words are padded.

        Returns:
            logits_audio, logits_visual, words_logits_audio, words_logits_visual [1, n_classes];
            temporal [S, n_classes]; contrast and recovery (scalars); attention [S, tokens];
            restored [S, tokens, 1536]; words, words_visual, words_audio [S, width]: the mean of
            each segment's words, of what they saw and of what they heard.
        """
        if visual.shape[0] != 1:
            raise ModelInputError("MART is pre-trained with one video at a time")
        clips = visual.squeeze(0)
        spectrograms = audio.reshape(clips.shape[0], -1, audio.shape[-1])
        seen, heard, attention = self.vit.tokens(normalised_pixels(clips), spectrograms)
        patches = seen[:, 1:]
        words = self.lan_model.bert(word_ids, None if present is None else constant(present))
        complements = self.tacl(patches, heard[:, 2:], words, clips.shape[0], present)
        to_class = attention[:, :, 0, 1 : 1 + patches.shape[1]].mean(1)
        of_words = mean_of_words(complements.visual_attention, present)
        attention = (1 - _TEXT_SHARE) * to_class + _TEXT_SHARE * of_words
        hidden = mask(attention.numpy()) if callable(mask) else mask
        restored = self.decode(patches, hidden)
        visual_steps, audio_steps = self.steps(seen, heard)
        return {
            "logits_audio": audio_steps.mean(0, keepdims=True),
            "logits_visual": visual_steps.mean(0, keepdims=True),
            "temporal": temporal_scores(visual_steps + audio_steps),
            "words_logits_audio": complements.logits_audio,
            "words_logits_visual": complements.logits_visual,
            "contrast": complements.contrast,
            "attention": attention,
            "recovery": self.recovery(restored, clips, hidden),
            "restored": restored,
            "words": mean_of_words(words, present),
            "words_visual": mean_of_words(complements.visual, present),
            "words_audio": mean_of_words(complements.audio, present),
        }

    def steps(self, seen: Var, heard: Var) -> tuple[Var, Var]:
        """What the classifiers say of each segment's visual and sound tokens, [S, n_classes]."""
        # Without the norm that MART has behind its class token; so is the release.
        return self.vit.v_fc(seen[:, 0]), self.vit.a_fc((heard[:, 0] + heard[:, 1]) / 2)

    def decode(self, patches: Var, mask: Mask) -> Var:
        """Visual tokens [S, tokens, width] -> normalised pixels [S, tokens, 1536]."""
        hidden = constant(mask[:, :, None])
        x = self.decoder_embd(hidden * self.Vmask_token + (1 - hidden) * patches)
        x = x + self._positions
        for block in self.decoder_blocks:
            x, _ = block(x)
        return self.decoder_pred(self.decoder_norm(x))

    @staticmethod
    def recovery(restored: Var, clips: Var, mask: Mask) -> Var:
        """The squared error of the hidden tubelets, averaged; 0 where nothing is hidden."""
        difference = restored - constant(tubelet_targets(clips.numpy()))
        # Token by token, because one long float32 sum would lose two digits.
        of_tokens = (difference * difference).mean(-1) * constant(mask)
        return of_tokens.sum() / max(int(mask.sum()), 1)
