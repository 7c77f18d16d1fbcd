"""TSL-Net: where in a video the sentiment is positive or negative.

"Temporal Sentiment Localization: Listen and Look in Untrimmed Videos", ACM Multimedia 2022. One
segment is 16 video frames: a row of I3D features and 32 rows of log-mel. A small network over the
log-mel of a segment and its two neighbours and a convolution over the visual features are fused by
another convolution; sigmoid scores per segment, the last one background, say what is where.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.models.inputs import InputSpec
from jack_stream.models.layers import (
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Dropout,
    ExecutionPath,
    Module,
    constant,
    path_for,
    relu,
    softmax,
    topk,
)
from jack_stream.models.layers.folding import forget
from jack_stream.models.layers.paths import ChannelsLast, FusedPath
from jack_stream.runtime import jittor

__all__ = ["CHUNK", "MEL_BANDS", "MEL_ROWS", "POSITIONS", "TSLNet", "position_rows"]

jt = jittor()
Var = Any

MEL_ROWS, MEL_BANDS = 32, 60
"""Log-mel rows per segment, and bands."""

CHUNK = 600
"""Segments whose neighbours are looked for among each other, the last one next to the first."""

POSITIONS = 4000
"""Length of the released table of positions; it starts anew after it (the release stops there)."""

_TOP_SHARE = 8  # the video's score is the mean of the best T / 8 segments
_VISUAL = 1024


def position_rows(indices: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """What is added to every log-mel row of the segments with these indices: ``float32[n, 60]``."""
    at = (np.asarray(indices) % POSITIONS)[:, np.newaxis]
    frequency = np.exp(np.arange(0, MEL_BANDS, 2) * -(np.log(10000.0) / MEL_BANDS))
    rows = np.empty((len(at), MEL_BANDS))
    rows[:, 0::2], rows[:, 1::2] = np.sin(at * frequency), np.cos(at * frequency)
    return rows.astype(np.float32)


class _Numbered(Module):
    """Layers under the numbers that they have in the authors' ``nn.Sequential``."""

    def __init__(self, layers: dict[int, Any]) -> None:
        self.is_train = True
        for number, layer in layers.items():
            setattr(self, str(number), layer)

    def __getitem__(self, number: int) -> Any:
        return getattr(self, str(number))


class AudioExtractor(_Numbered):
    """Three stages of convolution, ReLU, batch normalisation and pooling: a segment's sound."""

    def __init__(self, width: int) -> None:
        first, second, last = width // 32, width // 8, width // 4
        super().__init__(
            {
                0: Conv2d(1, first, 7, stride=(3, 2), padding=3),
                2: BatchNorm2d(first),
                4: Conv2d(first, second, 3, padding=1),
                6: Conv2d(second, second, 1),
                8: BatchNorm2d(second),
                10: Conv2d(second, last, 3, padding=1),
                12: Conv2d(last, last, 1),
                14: BatchNorm2d(last),
            }
        )

    def execute(self, stacked: Var) -> Var:
        """Log-mel of segments between their neighbours ``[N, 96, 60]`` -> ``[N, 512]``."""
        path = path_for(self)
        x = path.convolution(path.enter(stacked.unsqueeze(1)), self[0], relu=True)
        x = _normalised_pool(x, self[2], 4, path)
        x = path.convolution(path.convolution(x, self[4], relu=True), self[6], relu=True)
        x = _normalised_pool(x, self[8], 2, path)
        x = path.convolution(path.convolution(x, self[10], relu=True), self[12], relu=True)
        if self.is_train:
            return path.mean(path.normalised(x, self[14]))
        # In evaluation the normalisation is a line per channel, and the mean goes through it.
        return self[14](path.mean(x))


def _normalised_pool(x: Var, norm: BatchNorm2d, size: int, path: ExecutionPath) -> Var:
    """Batch normalisation and max-pooling.

    In evaluation they change places where every channel is scaled by a positive number, as nearly
    always: the largest value stays the largest, and there are size^2 times fewer to scale.
    """
    if not isinstance(path, FusedPath):
        forget(norm)
        y = path.normalised(x, norm)
        # Of equal values in a window, oneDNN's first has a gradient; with plain operators each has.
        return path.max_pool(y, size, size)
    scale = norm.weight / jt.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    if _all_positive(norm):
        return path.max_pool(x, size, size) * scale + shift
    return path.max_pool(x * scale + shift, size, size)


def _all_positive(norm: BatchNorm2d) -> bool:
    """Whether all channels have a positive scale; kept until `set_weights` changes them."""
    held = norm.__dict__.get("_folded")
    if held is None:
        held = norm.__dict__["_folded"] = bool((norm.weight.numpy() > 0).all())
    return bool(held)


class _Reversal(Module):
    """From the fused features back to one modality's (training only)."""

    def __init__(self, width: int) -> None:
        self.is_train = True
        widths = (width,) * 4 + (width // 4,)
        self.net = _Numbered({2 * i: _conv(widths[i], widths[i + 1]) for i in range(4)})

    def execute(self, x: Var) -> Var:
        """``[B, 2048, T]`` -> ``[B, 512, T]``."""
        for number in (0, 2, 4, 6):
            x = relu(self.net[number](x))
        return x


class _Network(Module):
    """All layers, under the name that they have in the released checkpoints."""

    def __init__(self, n_classes: int, dropout: float, width: int) -> None:
        self.is_train = True
        self.a_extractor = AudioExtractor(width)
        self.v_align = _Numbered({0: _conv(_VISUAL, width // 4)})
        self.neck = _Numbered({0: _conv(width // 2, width)})
        self.rev_fa, self.rev_fv = _Reversal(width), _Reversal(width)
        self.drop_out = Dropout(dropout)
        self.classifier = _Numbered({0: Conv1d(width, n_classes + 1, 1, bias=False)})
        self.distribution = _Numbered({0: Conv1d(width, n_classes + 1, 1, bias=False)})


class TSLNet(Module):
    """The published network. The paper and the release differ in the losses alone.

    Args:
        n_classes: sentiments without the background; TSL-300 has negative, positive.
        dropout: share of the fused features that training drops before both heads.
        width: of the fused features, a multiple of 32; the paper's network has 2048. All other
            layers are as much narrower.
    """

    def __init__(self, n_classes: int = 2, dropout: float = 0.7, width: int = 2048) -> None:
        if width < 32 or width % 32:
            raise UsageError(f"tsl-net: width must be a positive multiple of 32, not {width}")
        self.is_train = True
        self.input_spec: InputSpec = {
            "rgb": ("B", "T", _VISUAL),
            "mel": ("B", "T", MEL_ROWS, MEL_BANDS),
        }
        self.cls_module = _Network(n_classes, dropout, width)

    def execute(self, rgb: Var, mel: Var, first: int = 0) -> dict[str, Var]:
        """Score the segments of a video.

        Args:
            rgb: I3D features ``[B, T, 1024]``.
            mel: log-mel ``[B, T, 32, 60]``, normalised as ``(x + 50) / 80``.
            first: position of the first segment; in a stream that is cut into windows a segment
                keeps its position from window to window.

        Returns:
            ``vid_score`` ``[B, C]``, the fused activations with the background last
            ``cas_sigmoid_fuse`` ``[B, T, C + 1]``, ``features`` ``[B, T, 2048]``.
        """
        return self.heads(self.fuse(self.align(rgb), self.listen(mel, first)))

    def listen(self, mel: Var, first: int = 0) -> Var:
        """Sound features ``[B, T, 512]`` of a video's log-mel ``[B, T, 32, 60]``."""
        b, t = mel.shape[:2]
        positions = constant(position_rows(np.arange(first, first + t)))
        mel = mel + positions.reshape(1, t, 1, MEL_BANDS)
        parts = [_with_neighbours(mel[:, at : at + CHUNK]) for at in range(0, t, CHUNK)]
        sound = [self.cls_module.a_extractor(part) for part in parts]
        return jt.concat([part.reshape(b, -1, part.shape[-1]) for part in sound], dim=1)

    def align(self, rgb: Var, margin: int = 1) -> Var:
        """Visual features ``[B, T, 512]``; ``margin`` 0 for those between two others."""
        return self._along_time(rgb, self.cls_module.v_align[0], margin)

    def fuse(self, visual: Var, sound: Var, margin: int = 1) -> Var:
        """Fused features ``[B, T, 2048]``; ``margin`` 0 for those between two others."""
        return self._along_time(jt.concat([visual, sound], dim=2), self.cls_module.neck[0], margin)

    def _along_time(self, x: Var, layer: Conv1d, margin: int) -> Var:
        path = path_for(self)
        # [B, T, C] is what the fused path calls its own layout.
        channels_last = isinstance(path, ChannelsLast)
        x = x if channels_last else x.transpose(0, 2, 1)
        y = path.convolution(x, layer, relu=True, margins=((margin, margin),))
        return y if channels_last else y.transpose(0, 2, 1)

    def heads(self, features: Var) -> dict[str, Var]:
        """The outputs of `execute` from the fused features ``[B, T, 2048]``."""
        scores = jt.sigmoid(self._head(features, self.cls_module.classifier[0]))
        return {
            "vid_score": _top_mean(scores)[:, :-1],
            "cas_sigmoid_fuse": _foreground(scores),
            "features": features,
        }

    def _head(self, features: Var, layer: Conv1d) -> Var:
        weight = layer.weight[:, :, 0]
        b, t, c = features.shape
        return jt.nn.linear(features.reshape(b * t, c), weight).reshape(b, t, -1)

    def supervised(self, rgb: Var, mel: Var, labels: Var) -> dict[str, Var]:
        """What the losses need, with gradients.

        Args:
            rgb: as in `execute`.
            mel: as in `execute`.
            labels: which classes the video has, ``[B, C]`` of 0 and 1.

        Returns:
            ``vid_score`` (the best segments' mean for classes that are there, the mean of all
            segments for those that are not), ``vid_ldl`` (the predicted share of each class),
            ``cas_sigmoid_fuse``, ``cas_softmax_dis``, and for the feature consistency ``sound``,
            ``visual``, ``sound_back``, ``visual_back``, each ``[B, T, 512]``.
        """
        net = self.cls_module
        sound, visual = self.listen(mel), self.align(rgb)
        features = self.fuse(visual, sound)
        dropped = net.drop_out(features)
        scores = jt.sigmoid(self._head(dropped, net.classifier[0]))
        shares = self._head(dropped, net.distribution[0])
        present = _top_mean(scores)[:, :-1] * labels
        absent = scores.mean(1)[:, :-1] * (1 - labels)
        channels_first = features.transpose(0, 2, 1)
        return {
            "vid_score": present + absent,
            "vid_ldl": softmax(_top_mean(shares)[:, :-1], 1),
            "cas_sigmoid_fuse": _foreground(scores),
            "cas_softmax_dis": softmax(shares, 2),
            "sound": sound,
            "visual": visual,
            "sound_back": net.rev_fa(channels_first).transpose(0, 2, 1),
            "visual_back": net.rev_fv(channels_first).transpose(0, 2, 1),
        }


def _conv(inputs: int, outputs: int) -> Conv1d:
    return Conv1d(inputs, outputs, 3, padding=1)


def _with_neighbours(mel: Var) -> Var:
    """Each segment below its previous and above its next one: ``[B * T, 96, 60]``.

    The first segment's previous one is the last, and the other way round, as released.
    """
    b, t = mel.shape[:2]
    previous = jt.concat([mel[:, -1:], mel[:, :-1]], dim=1) if t > 1 else mel
    following = jt.concat([mel[:, 1:], mel[:, :1]], dim=1) if t > 1 else mel
    stacked = jt.concat([previous, mel, following], dim=2)
    return stacked.reshape(b * t, 3 * MEL_ROWS, MEL_BANDS)


def _top_mean(scores: Var) -> Var:
    """Mean of each column's best eighth of ``[B, T, K]`` (at least one): ``[B, K]``."""
    k = max(1, scores.shape[1] // _TOP_SHARE)
    return topk(scores, k, 1)[0].mean(1)


def _foreground(scores: Var) -> Var:
    """Class scores where there is no background, and the background itself."""
    background = scores[:, :, -1:]
    return jt.concat([scores[:, :, :-1] * (1 - background), background], dim=2)
