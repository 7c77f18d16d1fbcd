"""VAANet: the emotion of a video from what is seen and heard.

Zhao et al., "An End-to-End Visual-Audio Attention Network for Emotion Recognition in User-Generated
Videos", AAAI 2020. A frozen 3D ResNet-101 sees snippets of 16 frames; attention over space,
channels and time weighs them. A ResNet-18 hears pieces of the MFCC. Both are joined by one layer.

Snippets and pieces are encoded independently of each other (``encode_snippets``,
``encode_audio``), so that a stream encodes only what is new and runs ``head`` on all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

from jack_stream.models.attention import PositionScores, weighted_mean
from jack_stream.models.audio_stream import AudioEmbedding, embed_pieces, into_pieces
from jack_stream.models.inputs import InputSpec
from jack_stream.models.layers import (
    BatchNorm1d,
    Conv1d,
    Dropout,
    Linear,
    Module,
    path_for,
    relu,
    softmax,
)
from jack_stream.models.resnet import AudioResNet18
from jack_stream.models.resnet3d import RESNET_101, ResNet3D
from jack_stream.runtime import jittor

__all__ = ["VAANet", "VAANetAudio", "normalise_pixels"]

jt = jittor()
Var = Any

_POSITIONS = 16  # m of the paper: the 4x4 positions of a snippet's map
_PIECE_FRAMES, _COEFFICIENTS = 256, 32
_AUDIO_CHANNELS = 256


def normalise_pixels(visual: Var) -> Var:
    """Pixels 0..255 as the 3D ResNet was trained on: x / 255 - 100 / 255."""
    return (visual - 100.0) / 255.0


class VAANet(Module):
    """The network; defaults are the authors'.

    Args:
        n_classes: number of emotions C.
        seq_len: snippets S of a video.
        audio_n_segments: pieces P of 256 MFCC frames.
        width: of both backbones and, in proportion, of all that is behind them; the paper's k = 512
            and the 256 of the sound are 8 and 4 times this.
        depths: blocks in the stages of the visual backbone.

    Attributes:
        freeze_backbone: the visual backbone is used as it is, in training as well.
    """

    item_spec: ClassVar[InputSpec] = {
        "visual": ("N", 3, 16, 112, 112),
        "audio": ("N", _PIECE_FRAMES, _COEFFICIENTS),
    }

    def __init__(
        self,
        *,
        n_classes: int = 8,
        seq_len: int = 10,
        audio_n_segments: int = 16,
        width: int = 64,
        depths: Sequence[int] = RESNET_101,
    ) -> None:
        self.is_train = True
        self.seq_len, self.audio_n_segments = seq_len, audio_n_segments
        self.freeze_backbone = True
        channels, audio_channels = 8 * width, 4 * width
        self.resnet = ResNet3D(None, depths=depths, numbered=True, width=width)
        self.resnet.eval()
        self.conv0 = jt.nn.Sequential(
            Conv1d(self.resnet.channels, channels, 1), BatchNorm1d(channels)
        )
        self.sa_net = PositionScores(channels, _POSITIONS, bias=False)
        self.cwa_net = PositionScores(_POSITIONS, channels, bias=False)
        self.ta_net = PositionScores(channels, seq_len, bias=True)
        # The visual stream's own classifier: in the authors' checkpoints, and used by nothing.
        self.fc = Linear(channels, n_classes)
        self.a_resnet = AudioResNet18(width=width)
        self.a_fc = AudioEmbedding(self.a_resnet.channels, audio_channels)
        self.aa_net = PositionScores(audio_channels, audio_n_segments, bias=True)
        self.av_fc = Linear(channels + audio_channels, n_classes)

    @property
    def input_spec(self) -> InputSpec:
        """``visual`` pixels 0..255 and ``audio`` MFCC (jack_stream.features.mfcc)."""
        return {
            "visual": ("B", self.seq_len, 3, 16, 112, 112),
            "audio": ("B", self.audio_n_segments * _PIECE_FRAMES, _COEFFICIENTS),
        }

    def train(self) -> VAANet:
        """Training mode for all but a frozen backbone, which keeps its statistics.

        The released code leaves the backbone's batch normalisation in training mode: its running
        statistics drift and a snippet's features depend on the others in the batch.
        """
        super().train()
        if self.freeze_backbone:
            self.resnet.eval()
        return self

    def backbone(self, snippets: Var) -> Var:
        """Pixels [N, 3, 16, 112, 112] -> maps [N, 2048, 16], without gradients where frozen."""
        with jt.no_grad() if self.freeze_backbone else nullcontext():
            maps = self.resnet.last_map(normalise_pixels(snippets))
            return maps.reshape(*maps.shape[:2], _POSITIONS)

    def attend(self, maps: Var) -> dict[str, Var]:
        """Spatial and channel attention on maps [N, 2048, 16].

        Returns:
            ``snippet`` [N, 512]; ``alpha`` [N, 16], weights of the positions (mean 1); ``beta``
            [N, 512], weights of the channels (mean 1).
        """
        conv, norm = self.conv0
        path = path_for(self)
        features = path.leave(path.convolution(path.enter(maps), conv, norm, relu=True))
        alpha = softmax(self.sa_net(features), 1) * _POSITIONS
        features = features * alpha.unsqueeze(1)
        beta = softmax(self.cwa_net(features.transpose(0, 2, 1)), 1) * features.shape[1]
        return {"snippet": features.mean(2) * beta, "alpha": alpha, "beta": beta}

    def encode_snippets(self, snippets: Var) -> dict[str, Var]:
        """What can be said of a snippet alone: pixels [N, 3, 16, 112, 112] -> see ``attend``."""
        return self.attend(self.backbone(snippets))

    def encode_audio(self, pieces: Var) -> dict[str, Var]:
        """MFCC pieces [N, 256, 32] -> ``piece`` [N, 256]."""
        return {"piece": embed_pieces(pieces, self.a_resnet, self.a_fc)}

    def encode(self, name: str, items: Var) -> dict[str, Var]:
        """``encode_snippets`` or ``encode_audio``, by the name of the input."""
        return self.encode_snippets(items) if name == "visual" else self.encode_audio(items)

    def head(self, snippet: Var, alpha: Var, beta: Var, piece: Var) -> dict[str, Var]:
        """Temporal attention and fusion.

        Args:
            snippet: [B, S, 512].
            alpha: [B, S, 16], handed through.
            beta: [B, S, 512], handed through.
            piece: [B, P, 256].

        Returns:
            ``logits`` [B, C], ``alpha`` [S, B, 16], ``beta`` [S, B, 512], ``gamma`` [B, S] and
            ``audio_attention`` [B, P], which are not negative, and ``fused`` [B, 768].
        """
        gamma = relu(self.ta_net(snippet.transpose(0, 2, 1)))
        heard = relu(self.aa_net(piece.transpose(0, 2, 1)))
        fused = jt.concat([weighted_mean(snippet, gamma), weighted_mean(piece, heard)], 1)
        return {
            "logits": self.av_fc(fused),
            "alpha": alpha.transpose(1, 0, 2),
            "beta": beta.transpose(1, 0, 2),
            "gamma": gamma,
            "audio_attention": heard,
            "fused": fused,
        }

    def execute(self, visual: Var, audio: Var) -> dict[str, Var]:
        """Whole videos: see ``input_spec`` and ``head``."""
        b, s = visual.shape[:2]
        seen = self.encode_snippets(visual.reshape(b * s, *visual.shape[2:]))
        heard = self.encode_audio(into_pieces(audio, self.audio_n_segments))
        features = {**seen, **heard}
        return self.head(**{k: v.reshape(b, -1, v.shape[-1]) for k, v in features.items()})


class VAANetAudio(Module):
    """VAANet's audio stream with its temporal attention and a linear layer: voices without a face.

    Args:
        n_classes: number of emotions C.
        audio_n_segments: pieces P of a sound, which the attention weighs; of the paper's, 2.97 s
            long, one is an utterance.
        width: of the ResNet; what is behind it is 4 times as wide, 256 in the paper.
        piece_frames: frames F of a piece.
        bands: values D of a frame: the paper's cepstral coefficients, or bands of a log-mel
            spectrogram (jack_stream.features.voice).
        dropout: of the ResNet's features, in training only; the paper has none.
    """

    def __init__(
        self,
        *,
        n_classes: int = 8,
        audio_n_segments: int = 16,
        width: int = 64,
        piece_frames: int = _PIECE_FRAMES,
        bands: int = _COEFFICIENTS,
        dropout: float = 0.0,
    ) -> None:
        self.is_train = True
        self.audio_n_segments = audio_n_segments
        self.piece_frames, self.bands = piece_frames, bands
        self.a_resnet = AudioResNet18(width=width)
        self.drop = Dropout(dropout)
        self.a_fc = AudioEmbedding(self.a_resnet.channels, 4 * width)
        self.aa_net = PositionScores(4 * width, audio_n_segments, bias=True)
        self.fc = Linear(4 * width, n_classes)

    @property
    def input_spec(self) -> InputSpec:
        """``audio``: the frames of all pieces (jack_stream.features.voice)."""
        return {"audio": ("B", self.audio_n_segments * self.piece_frames, self.bands)}

    @property
    def item_spec(self) -> InputSpec:
        """``audio``: pieces, which are encoded independently of each other."""
        return {"audio": ("N", self.piece_frames, self.bands)}

    def encode_audio(self, pieces: Var) -> dict[str, Var]:
        """Pieces [N, F, D] -> ``piece`` [N, 4 width], not normalised yet."""
        features = self.drop(self.a_resnet.pooled(pieces.unsqueeze(1)))
        return {"piece": path_for(self.a_resnet).linear(features, self.a_fc[0])}

    def encode(self, _: str, items: Var) -> dict[str, Var]:
        """``encode_audio``: there is no other input."""
        return self.encode_audio(items)

    def head(
        self,
        piece: Var,
        familiarity: Var | None = None,
        voice_mean: Var | None = None,
        voice_variance: Var | None = None,
        sounding: Var | None = None,
    ) -> dict[str, Var]:
        """``piece`` [B, P, 4 width] -> ``logits`` [B, C] and ``gamma`` [B, P].

        Args:
            piece: of a sound, from ``encode_audio``.
            familiarity: [B] in 0..1: how far what was heard of a voice takes the place of what was
                learned from all of them; 0 if absent.
            voice_mean: [B, 4 width], of the pieces of that voice; comes with ``familiarity``.
            voice_variance: likewise.
            sounding: [B, P]: 0 for pieces that have no say, 1 for the others; all 1 if absent.
        """
        norm = self.a_fc[1]
        mean, variance = norm.running_mean, norm.running_var
        if familiarity is not None and voice_mean is not None and voice_variance is not None:
            share = familiarity.reshape(-1, 1, 1)
            mean = mean + share * (voice_mean.unsqueeze(1) - mean)
            variance = variance + share * (voice_variance.unsqueeze(1) - variance)
        inverse = 1.0 / jt.sqrt(variance + norm.eps)
        normalised = (piece - mean) * inverse * norm.weight + norm.bias
        return self._weighed(normalised, sounding)

    def execute(self, audio: Var, speakers: int = 1, sounding: Var | None = None) -> dict[str, Var]:
        """Whole sounds: see ``input_spec`` and ``head``.

        Args:
            audio: [B, P * F, D].
            speakers: in training, the batch's voices, each with an equal share of it, one behind
                the other. Each is normalised by its own mean and variance, as a voice that is
                known (AdaBN, Li et al., 2016, here in training too); the running statistics are
                of all.
            sounding: see ``head``; pieces that have no say have none in a voice's mean either.
        """
        piece = self.encode_audio(into_pieces(audio, self.audio_n_segments))["piece"]
        piece = piece.reshape(audio.shape[0], self.audio_n_segments, -1)
        if not self.is_train:
            return self.head(piece, sounding=sounding)
        norm = self.a_fc[1]
        if speakers == 1 and sounding is None:
            flat = piece.reshape(-1, piece.shape[-1])
            return self._weighed(norm(flat).reshape(piece.shape), None)
        share = jt.ones(piece.shape[:2]) if sounding is None else sounding
        share = share.reshape(speakers, -1, 1)
        share = share / share.sum(1, keepdims=True)
        voices = piece.reshape(speakers, -1, piece.shape[-1])
        mean = (voices * share).sum(1, keepdims=True)
        centred = voices - mean
        variance = (centred.sqr() * share).sum(1, keepdims=True)
        between = (mean - mean.mean(0, keepdims=True)).sqr()
        norm.remember(mean.mean((0, 1)), (variance + between).mean((0, 1)))
        known = (centred / jt.sqrt(variance + norm.eps)).reshape(piece.shape)
        return self._weighed(known * norm.weight + norm.bias, sounding)

    def _weighed(self, normalised: Var, sounding: Var | None) -> dict[str, Var]:
        """[B, P, 4 width] -> ``logits`` and ``gamma``."""
        piece = normalised.tanh()
        gamma = relu(self.aa_net(piece.transpose(0, 2, 1)))
        if sounding is not None:
            gamma = gamma * sounding / sounding.mean(1, keepdims=True)
        return {"logits": self.fc(weighted_mean(piece, gamma)), "gamma": gamma}
