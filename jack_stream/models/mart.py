"""MART: the emotion of a video by a masked multimodal transformer, its inference path.

Zhang et al., "MART: Masked Affective RepresenTation Learning via Masked Temporal Distribution
Distillation", CVPR 2024. The classifier is a multimodal bottleneck transformer (Nagrani et al.,
NeurIPS 2021): two transformers run side by side; from the ninth block on they share 32 tokens,
through which alone they hear of each other.
"""

from __future__ import annotations

from typing import Any, Literal

from jack_stream.errors import ModelInputError, UsageError
from jack_stream.models.inputs import InputSpec
from jack_stream.models.layers import Linear, Module, softmax
from jack_stream.models.snippet_transformers import AudioTransformer, VideoTransformer
from jack_stream.runtime import jittor

__all__ = ["AUDIO_FRAMES", "MART", "BottleneckTransformer", "normalised_pixels"]

jt = jittor()
Var = Any

_FRAMES, _SIZE = 16, 112
AUDIO_FRAMES, _BANDS = 100, 128
_PIXEL_MEAN = 100.0 / 255.0


def normalised_pixels(clips: Var) -> Var:
    """Pixels 0..255 -> x / 255 - 100 / 255, in any shape."""
    return clips / 255.0 - _PIXEL_MEAN


class BottleneckTransformer(Module):
    """Both streams, the shared tokens and the two classifiers (the released ``MBT``, ``vit``).

    Args:
        n_classes: of the emotions.
        width: of the tokens.
        depth: blocks of each stream.
        heads: of the attention.
        fusion_from: the first block that sees the shared tokens, counted from 0.
        n_shared: how many tokens are shared.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        width: int,
        depth: int,
        heads: int,
        fusion_from: int,
        n_shared: int,
    ) -> None:
        self.is_train = True
        self._fusion_from = fusion_from
        self.bottleneck = jt.init.gauss((1, n_shared, width), "float32", 0.0, 0.02)
        self.ast_model = AudioTransformer(AUDIO_FRAMES, _BANDS, width, depth, heads)
        self.vid_model = VideoTransformer(_FRAMES, _SIZE, width, depth, heads)
        self.a_fc = Linear(width, n_classes)
        self.v_fc = Linear(width, n_classes)

    def tokens(self, clips: Var, spectrograms: Var) -> tuple[Var, Var, Var]:
        """Encode snippets, each for itself.

        Args:
            clips: [N, 3, 16, 112, 112], normalised.
            spectrograms: [N, 100, 128], normalised.

        Returns:
            Visual tokens [N, 393, width] (class first), sound tokens [N, 110, width] (class,
            distillation, patches), and the attention of the last visual block [N, heads, 425, 425].
        """
        visual, audio = self.vid_model.embed(clips), self.ast_model.embed(spectrograms)
        (n, n_visual), n_audio = visual.shape[:2], audio.shape[1]
        attention = None
        pairs = zip(self.vid_model.blocks, self.ast_model.v.blocks, strict=True)
        for index, (visual_block, audio_block) in enumerate(pairs):
            if index == self._fusion_from:
                shared = self.bottleneck.expand((n, *self.bottleneck.shape[1:]))
                visual, audio = jt.concat([visual, shared], 1), jt.concat([audio, shared], 1)
            visual, attention = visual_block(visual)
            audio, _ = audio_block(audio)
            if index >= self._fusion_from:
                shared = (visual[:, n_visual:] + audio[:, n_audio:]) / 2
                visual = jt.concat([visual[:, :n_visual], shared], 1)
                audio = jt.concat([audio[:, :n_audio], shared], 1)
        return visual[:, :n_visual], self.ast_model.v.norm(audio[:, :n_audio]), attention


class MART(Module):
    """The classifier of MART; parameters under ``vit``, as in the authors' checkpoints.

    Args:
        n_classes: 8 for VideoEmotion-8, 6 for Ekman-6.
        width: of the tokens.
        depth: blocks of each stream.
        heads: of the attention; divides the width.
        fusion_from: the first block that sees the shared tokens, counted from 0.
        n_shared: how many tokens are shared.
        variant: ``released``: ``temporal`` is what the classifiers say of each snippet. ``paper``:
            that times the probabilities of the whole window, (3).
    """

    def __init__(
        self,
        n_classes: int = 8,
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        fusion_from: int = 8,
        n_shared: int = 32,
        variant: Literal["released", "paper"] = "released",
    ) -> None:
        if variant not in {"released", "paper"}:
            raise UsageError(f"mart: variant {variant!r} is neither 'released' nor 'paper'")
        if width % heads or not 0 <= fusion_from < depth:
            raise UsageError(
                f"mart: width {width} must be a multiple of heads {heads}, and fusion_from "
                f"{fusion_from} one of the {depth} blocks"
            )
        self.is_train = True
        self._variant = variant
        self.vit = BottleneckTransformer(
            n_classes,
            width=width,
            depth=depth,
            heads=heads,
            fusion_from=fusion_from,
            n_shared=n_shared,
        )

    @property
    def input_spec(self) -> InputSpec:
        """Pixels 0..255 and normalised fbank, 100 frames of sound per snippet."""
        return {
            "visual": ("B", "S", 3, _FRAMES, _SIZE, _SIZE),
            "audio": ("B", "100 S", _BANDS),
        }

    def encode_snippets(self, clips: Var, spectrograms: Var) -> tuple[Var, Var]:
        """What is worth keeping of a snippet; snippets do not influence each other.

        Args:
            clips: [N, 3, 16, 112, 112], pixels 0..255.
            spectrograms: [N, 100, 128], normalised fbank.

        Returns:
            Visual and sound feature of each snippet, [N, width] each.
        """
        visual, audio, _ = self.vit.tokens(normalised_pixels(clips), spectrograms)
        return self._pooled(visual, audio)

    def head(self, visual: Var, audio: Var) -> dict[str, Var]:
        """Classify a window from its snippets' features, [B, S, width] each."""
        logits_visual = self.vit.v_fc(visual.mean(1))
        logits_audio = self.vit.a_fc(audio.mean(1))
        logits = logits_audio + logits_visual
        temporal = self.vit.a_fc(audio) + self.vit.v_fc(visual)
        if self._variant == "paper":
            temporal = softmax(logits, 1).unsqueeze(1) * temporal
        return {
            "logits_audio": logits_audio,
            "logits_visual": logits_visual,
            "logits": logits,
            "temporal": temporal,
        }

    def execute(self, visual: Var, audio: Var) -> dict[str, Var]:
        """Classify windows of S snippets.

        Args:
            visual: [B, S, 3, 16, 112, 112], pixels 0..255.
            audio: [B, 100 S, 128], normalised fbank.

        Returns:
            logits_audio, logits_visual and logits [B, n_classes], temporal [B, S, n_classes].

        Raises:
            ModelInputError: the sound is not 100 frames for each snippet.
        """
        b, s = visual.shape[:2]
        if audio.shape[1] != AUDIO_FRAMES * s:
            raise ModelInputError(
                f"mart: {s} snippets need {AUDIO_FRAMES * s} frames of sound, not {audio.shape[1]}"
            )
        clips = visual.reshape(b * s, *visual.shape[2:])
        spectrograms = audio.reshape(b * s, AUDIO_FRAMES, _BANDS)
        features = self.encode_snippets(clips, spectrograms)
        return self.head(*(feature.reshape(b, s, -1) for feature in features))

    def _pooled(self, visual: Var, audio: Var) -> tuple[Var, Var]:
        return self.vit.vid_model.fc_norm(visual[:, 0]), (audio[:, 0] + audio[:, 1]) / 2
