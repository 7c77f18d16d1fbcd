"""CTEN: the emotion of a video by attention within and between picture and sound.

Zhang et al., "Weakly Supervised Video Emotion Detection and Prediction via Cross-Modal Temporal
Erasing Network", CVPR 2023. Segments of both streams are related to each other within a modality
(non-local block) and across (multi-head attention); a temporal attention weighs them. Training
erases segments by that attention (jack_stream.features.erasing).

Segments are encoded independently of each other (``encode_snippets``, ``encode_audio``), so that
a stream encodes only what is new and runs ``head`` on all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Literal

from jack_stream.models.attention import (
    MultiHeadAttention,
    NonLocalBlock,
    PositionScores,
    weighted_mean,
)
from jack_stream.models.audio_stream import AudioEmbedding, embed_pieces, into_pieces
from jack_stream.models.inputs import InputSpec
from jack_stream.models.layers import Dropout, Linear, Module, path_for, relu
from jack_stream.models.resnet import AudioResNet18
from jack_stream.models.resnet3d import RESNET_101, ResNet3D
from jack_stream.models.vaanet import normalise_pixels
from jack_stream.runtime import jittor

__all__ = ["CTEN"]

jt = jittor()
Var = Any

_SEGMENT_FRAMES, _BANDS = 100, 128


class CTEN(Module):
    """The network that the authors published as ``VAANetErase``.

    ``variant="paper"`` follows equations (5)-(7) where the release does not: what a modality
    gathered from the other is added to the modality that asked, and each has a temporal attention
    of its own (``ta_net`` for the picture, ``ta_net_a`` for the sound). Its audio encoder is the
    release's ResNet-18 on filter banks all the same.

    Args:
        n_classes: number of emotions C.
        seq_len: segments S of a video, seen and heard.
        variant: see above.
        width: of both backbones; all that is behind them is 32 times as wide, 2048 in the paper.
        depths: blocks in the stages of the visual backbone.

    Attributes:
        freeze_backbone: the visual backbone is used as it is, in training as well.
    """

    item_spec: ClassVar[InputSpec] = {
        "visual": ("N", 3, 16, 112, 112),
        "audio": ("N", _SEGMENT_FRAMES, _BANDS),
    }

    def __init__(
        self,
        *,
        n_classes: int = 8,
        seq_len: int = 16,
        variant: Literal["released", "paper"] = "released",
        width: int = 64,
        depths: Sequence[int] = RESNET_101,
    ) -> None:
        self.is_train = True
        self.seq_len, self.variant = seq_len, variant
        self.freeze_backbone = True
        self.resnet = ResNet3D(None, depths=depths, numbered=True, width=width)
        self.resnet.eval()
        features = self.resnet.channels
        self.a_resnet = AudioResNet18(width=width)
        self.a_fc = AudioEmbedding(self.a_resnet.channels, features)
        self.drop = Dropout(0.2)
        self.nl = jt.nn.Sequential(NonLocalBlock(features, features // 8))
        self.nl_a = jt.nn.Sequential(NonLocalBlock(features, features // 8))
        self.v2a_attn = MultiHeadAttention(features, 8)
        self.a2v_attn = MultiHeadAttention(features, 8)
        if variant == "released":
            self.ta_net = PositionScores(2 * features, seq_len, bias=True)
        else:
            self.ta_net = PositionScores(features, seq_len, bias=True)
            self.ta_net_a = PositionScores(features, seq_len, bias=True)
        self.fc = Linear(2 * features, n_classes)

    @property
    def input_spec(self) -> InputSpec:
        """``visual`` pixels 0..255 and ``audio`` normalised fbank (jack_stream.features.fbank)."""
        return {
            "visual": ("B", self.seq_len, 3, 16, 112, 112),
            "audio": ("B", self.seq_len * _SEGMENT_FRAMES, _BANDS),
        }

    def train(self) -> CTEN:
        """Training mode for all but a frozen backbone, which keeps its statistics.

        The released code leaves the backbone's batch normalisation in training mode: its running
        statistics drift and a segment's features depend on the others in the batch.
        """
        super().train()
        if self.freeze_backbone:
            self.resnet.eval()
        return self

    def backbone(self, snippets: Var) -> Var:
        """Pixels [N, 3, 16, 112, 112] -> [N, 2048], without gradients where it is frozen."""
        with jt.no_grad() if self.freeze_backbone else nullcontext():
            return self.resnet.pooled(normalise_pixels(snippets))

    def attend(self, features: Var) -> dict[str, Var]:
        """What is done to a segment's features alone: nothing; see ``VAANet.attend``."""
        return {"snippet": features}

    def encode_snippets(self, snippets: Var) -> dict[str, Var]:
        """Pixels [N, 3, 16, 112, 112] -> ``snippet`` [N, 2048]."""
        return self.attend(self.backbone(snippets))

    def encode_audio(self, pieces: Var) -> dict[str, Var]:
        """Filter bank segments [N, 100, 128] -> ``piece`` [N, 2048]."""
        return {"piece": embed_pieces(pieces, self.a_resnet, self.a_fc)}

    def encode(self, name: str, items: Var) -> dict[str, Var]:
        """``encode_snippets`` or ``encode_audio``, by the name of the input."""
        return self.encode_snippets(items) if name == "visual" else self.encode_audio(items)

    def head(self, snippet: Var, piece: Var) -> dict[str, Var]:
        """All that relates segments to each other.

        Args:
            snippet: [B, S, 2048].
            piece: [B, S, 2048].

        Returns:
            ``logits`` [B, C]; ``gamma`` [B, S], not negative; ``gamma_audio`` [B, S] of the paper's
            variant; ``v2a_map`` and ``a2v_map`` [B * 8, S, S]; ``fused`` [B, 4096].
        """
        seen, heard = self.nl(snippet), self.nl_a(piece)
        from_seen, v2a_map = self.v2a_attn(heard, seen, seen)
        from_heard, a2v_map = self.a2v_attn(seen, heard, heard)
        maps = {"v2a_map": v2a_map, "a2v_map": a2v_map}
        if self.variant == "released":
            joined = jt.concat([seen + from_seen, heard + from_heard], -1)
            gamma = relu(self.ta_net(joined.transpose(0, 2, 1)))
            fused = weighted_mean(joined, gamma)
            return {"logits": self._classify(fused), "gamma": gamma, **maps, "fused": fused}
        seen, heard = seen + from_heard, heard + from_seen
        gamma = relu(self.ta_net(seen.transpose(0, 2, 1)))
        gamma_audio = relu(self.ta_net_a(heard.transpose(0, 2, 1)))
        fused = jt.concat([weighted_mean(seen, gamma), weighted_mean(heard, gamma_audio)], -1)
        attentions = {"gamma": gamma, "gamma_audio": gamma_audio}
        return {"logits": self._classify(fused), **attentions, **maps, "fused": fused}

    def execute(self, visual: Var, audio: Var) -> dict[str, Var]:
        """Whole videos: see ``input_spec`` and ``head``."""
        b, s = visual.shape[:2]
        seen = self.encode_snippets(visual.reshape(b * s, *visual.shape[2:]))
        heard = self.encode_audio(into_pieces(audio, s))
        return self.head(seen["snippet"].reshape(b, s, -1), heard["piece"].reshape(b, s, -1))

    def _classify(self, fused: Var) -> Var:
        return path_for(self).linear(self.drop(fused), self.fc)
