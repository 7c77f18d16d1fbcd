"""BPM-GCN: the emotion of a walk from posture and movement.

"Looking Into Gait for Perceiving Emotions via Bilateral Posture and Movement Graph Convolutional
Networks", IEEE Transactions on Affective Computing 2024. Two streams of ten adaptive graph
convolution blocks (2s-AGCN), which exchange what they have seen after blocks 4, 7 and 10, and a
head that is trained to predict hand-crafted affective features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from jack_stream.errors import UsageError
from jack_stream.models.gait_graph import N_JOINTS, adjacency
from jack_stream.models.gait_time import WHOLE_WINDOW, TimeForm
from jack_stream.models.inputs import InputSpec
from jack_stream.models.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ExecutionPath,
    Linear,
    Module,
    constant,
    matmul,
    path_for,
    relu,
    softmax,
)
from jack_stream.models.layers.convolution import Geometry
from jack_stream.models.layers.paths import ChannelsLast, FusedPath
from jack_stream.models.ops import operators
from jack_stream.runtime import jittor

__all__ = ["BPMGCN"]

jt = jittor()
Var = Any

_SUBSETS = 3
_POSTURE_CHANNELS, _MOVEMENT_CHANNELS = 3, 8
_AFFECTIVE_PER_FRAME = 31
# Output channels, as multiples of the width, and stride in time of the ten blocks of a stream.
_BLOCKS = (
    (1, 1),
    (1, 1),
    (1, 1),
    (1, 1),
    (2, 2),
    (2, 1),
    (2, 1),
    (4, 2),
    (4, 1),
    (4, 1),
)
_INTERACTION_AFTER = (4, 7, 10)


class _Joined:
    """Pointwise convolutions that read the same input, or whose sum is wanted, as one.

    It looks like a convolution to an execution path and holds no weights of its own.

    Args:
        layers: what is joined.
        axis: 0 to stack their outputs, 1 to sum their outputs over stacked inputs.
    """

    geometry = Geometry(stride=(1, 1), margins=((0, 0), (0, 0)), dilation=(1, 1))

    def __init__(self, layers: Sequence[Any], axis: int) -> None:
        self._layers, self._axis = layers, axis

    @property
    def weight(self) -> Var:
        return jt.concat([layer.weight for layer in self._layers], dim=self._axis)

    @property
    def bias(self) -> Var:
        biases = [layer.bias for layer in self._layers]
        return jt.concat(biases) if self._axis == 0 else sum(biases[1:], start=biases[0])


class AdaptiveGraphConv(Module):
    """Aggregation over the joints by fixed, learned and data-dependent adjacency (2s-AGCN).

    The released network's ``unit_gcn``: ``relu(bn(sum_i conv_d_i(x (A_i + PA_i + C_i))) + down)``
    with ``C_i = softmax over the first joint axis of conv_a_i(x)^T conv_b_i(x) / (C' T)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        self.is_train = True
        self._adjacency = constant(adjacency())
        self.PA = jt.full((_SUBSETS, N_JOINTS, N_JOINTS), 1e-6)
        width = out_channels // 4
        self.conv_a = _pointwise_list(in_channels, width)
        self.conv_b = _pointwise_list(in_channels, width)
        self.conv_d = _pointwise_list(in_channels, out_channels)
        for conv in self.conv_d:
            std = math.sqrt(2 / (out_channels * in_channels * _SUBSETS))
            conv.weight.assign(jt.init.gauss(conv.weight.shape, "float32", 0.0, std))
        self.bn = BatchNorm2d(out_channels)
        self.bn.weight.assign(jt.full((out_channels,), 1e-6))
        self.down = (
            jt.nn.Sequential(_conv(in_channels, out_channels), BatchNorm2d(out_channels))
            if in_channels != out_channels
            else None
        )

    def execute(self, x: Var, path: ExecutionPath, time: TimeForm = WHOLE_WINDOW) -> Var:
        """C channels -> C' channels, in the path's layout. ``x`` may be read again afterwards."""
        queries_keys, outputs = self._joined()
        pairs = path.convolution(x, queries_keys)
        graph = self._adjacency + self.PA
        if not isinstance(path, FusedPath):
            gathered = path.enter(_gather(path.leave(x), path.leave(pairs), graph, time))
        elif time is WHOLE_WINDOW:
            gathered = operators().graph_attention(x, pairs, graph, _SUBSETS)
        else:
            scores = time.mean(operators().graph_scores(pairs, _SUBSETS))
            gathered = operators().graph_gather(x, scores, graph)
        if self.down is None:
            return path.convolution(
                gathered, outputs, self.bn, residual=x, relu=True, reuse_residual=False
            )
        shortcut = path.convolution(x, self.down[0], self.down[1])
        return path.convolution(gathered, outputs, self.bn, residual=shortcut, relu=True)

    def _joined(self) -> Any:
        """The queries and keys as one convolution and the three outputs as another.

        Kept where `set_weights` drops what was folded before, so that new weights are folded anew.
        """
        held = self.__dict__.get("_folded")
        if held is None:
            held = (_Joined([*self.conv_a, *self.conv_b], 0), _Joined(list(self.conv_d), 1))
            self.__dict__["_folded"] = held
        return held


def _gather(x: Var, pairs: Var, graph: Var, time: TimeForm) -> Var:
    """What each joint takes up from the others, differentiable.

    Args:
        x: ``[N, C, T, V]``.
        pairs: three queries and three keys ``[N, 6 K, T, V]``.
        graph: the fixed and the learned part ``[3, V, V]``.
        time: over which frames the joints are compared.

    Returns:
        ``[N, 3 C, T, V]``.
    """
    n, c, t, v = x.shape
    reach = pairs.shape[1] // (2 * _SUBSETS) * t
    pairs = pairs.reshape(n, 2 * _SUBSETS, reach, v)
    queries, keys = pairs[:, :_SUBSETS], pairs[:, _SUBSETS:]
    attention = softmax(time.mean(matmul(queries, keys, a_transposed=True) / reach), dim=2)
    joined = (attention + graph.unsqueeze(0)).transpose(0, 2, 1, 3).reshape(n, v, _SUBSETS * v)
    spread = matmul(x.reshape(n, c * t, v), joined).reshape(n, c, t, _SUBSETS, v)
    return spread.transpose(0, 3, 1, 2, 4).reshape(n, _SUBSETS * c, t, v)


class TemporalConv(Module):
    """A convolution along time with its batch normalisation (the released ``unit_tcn``)."""

    def __init__(self, in_channels: int, out_channels: int, taps: int, stride: int) -> None:
        self.is_train = True
        self.conv = _conv(in_channels, out_channels, taps, stride)
        self.bn = BatchNorm2d(out_channels)


class GaitBlock(Module):
    """Graph convolution, temporal convolution and a residual (the released ``TCN_GCN_unit``)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, *, first: bool) -> None:
        self.is_train = True
        self.gcn1 = AdaptiveGraphConv(in_channels, out_channels)
        self.tcn1 = TemporalConv(out_channels, out_channels, 9, stride)
        same = in_channels == out_channels and stride == 1
        self._first = first
        self.residual = (
            None if first or same else TemporalConv(in_channels, out_channels, 1, stride)
        )

    def execute(self, x: Var, path: ExecutionPath, time: TimeForm = WHOLE_WINDOW) -> Var:
        """C channels and T frames -> C' channels and T / stride frames, in the path's layout."""
        y, margins = time.around(self.gcn1(x, path, time), path)
        residual = None if self._first else time.centred(x, path)
        if self.residual is not None:
            residual = path.convolution(residual, self.residual.conv, self.residual.bn)
        tcn = self.tcn1
        return path.convolution(y, tcn.conv, tcn.bn, residual=residual, relu=True, margins=margins)


class Excitation(Module):
    """A two-layer perceptron without bias and a sigmoid: a weight for each entry of a vector."""

    def __init__(self, size: int) -> None:
        self.is_train = True
        self.fc1 = _conv(size, size, bias=False)
        self.fc2 = _conv(size, size, bias=False)

    def execute(self, x: Var) -> Var:
        """``[N, size]`` -> the weights ``[N, size]`` in 0..1."""
        hidden = relu(jt.nn.linear(x, self.fc1.weight[:, :, 0, 0]))
        return jt.sigmoid(jt.nn.linear(hidden, self.fc2.weight[:, :, 0, 0]))


class Interaction(Module):
    """PM-interaction: each stream adds what the other one finds important.

    Paper (8)-(11), ``variant="paper"``: the other stream times its temporal and its spatial
    attention, both streams at once. ``released`` (the repository's "cascade"): the spatial
    attention only gates the input of the temporal one; posture is updated first, with movement's
    weights, and movement then with the updated posture and with posture's weights.
    """

    def __init__(self, frames: int, variant: Literal["released", "paper"]) -> None:
        self.is_train = True
        self._variant = variant
        self.att_T_p, self.att_N_p = Excitation(frames), Excitation(N_JOINTS)
        self.att_T_m, self.att_N_m = Excitation(frames), Excitation(N_JOINTS)

    def execute(
        self, posture: Var, movement: Var, channels: int, time: TimeForm = WHOLE_WINDOW
    ) -> tuple[Var, Var]:
        """Two maps of one shape -> the same shape; ``channels`` is their axis of channels."""
        of_posture = self.weights(posture.mean(channels), self.att_T_p, self.att_N_p, time)
        of_movement = self.weights(movement.mean(channels), self.att_T_m, self.att_N_m, time)
        updated = posture + movement * of_movement.unsqueeze(channels)
        source = updated if self._variant == "released" else posture
        return updated, movement + source * of_posture.unsqueeze(channels)

    def weights(self, x: Var, temporal: Excitation, spatial: Excitation, time: TimeForm) -> Var:
        """Of a channel mean ``[N, T, V]``: ``[N, T, 1]`` or, in the paper, ``[N, T, V]``."""
        joints = spatial(time.mean(x.mean(1))).unsqueeze(1)
        if self._variant == "paper":
            return time.excited(x.mean(2), temporal).unsqueeze(2) * joints
        return time.excited((x * joints).mean(2), temporal).unsqueeze(2)


class BPMGCN(Module):
    """Posture and movement streams, their interaction, and the three heads.

    Args:
        n_classes: emotions; Emotion-Gait has happy, sad, angry, neutral, in this order.
        frames: of a window, a multiple of 4.
        variant: ``released`` meets the authors' code; ``paper`` multiplies both attentions,
            updates both streams at once and pools the maximum instead of the mean.
        width: channels of the first blocks; the paper's network has 64. A narrower one costs a
            share of about (width / 64) squared and holds as many weights.
    """

    input_spec: InputSpec

    def __init__(
        self,
        n_classes: int = 4,
        frames: int = 48,
        variant: Literal["released", "paper"] = "released",
        width: int = 64,
    ) -> None:
        _check(frames, variant, width)
        self.is_train = True
        self.input_spec = {
            "posture": ("N", _POSTURE_CHANNELS, frames, N_JOINTS, 1),
            "movement": ("N", _MOVEMENT_CHANNELS, frames, N_JOINTS, 1),
        }
        self._variant = variant
        self.data_bn_p = BatchNorm1d(N_JOINTS * _POSTURE_CHANNELS)
        self.data_bn_m = BatchNorm1d(N_JOINTS * _MOVEMENT_CHANNELS)
        for stream, channels in (("p", _POSTURE_CHANNELS), ("m", _MOVEMENT_CHANNELS)):
            previous = channels
            for i, (multiple, stride) in enumerate(_BLOCKS, start=1):
                block = GaitBlock(previous, multiple * width, stride, first=i == 1)
                setattr(self, f"l{i}_{stream}", block)
                previous = multiple * width
        self.fusion1 = Interaction(frames, variant)
        self.fusion2 = Interaction(frames // 2, variant)
        self.fusion3 = Interaction(frames // 4, variant)
        features = _BLOCKS[-1][0] * width
        self.fc1_classifier_p = _classifier(features, n_classes)
        self.fc1_classifier_m = _classifier(features, n_classes)
        self.fc2_aff = Linear(features, frames * _AFFECTIVE_PER_FRAME)

    def execute(self, posture: Var, movement: Var) -> dict[str, Var]:
        """Score gaits.

        Args:
            posture: ``[N, 3, frames, 16, 1]``, joint positions.
            movement: ``[N, 8, frames, 16, 1]``, velocity and acceleration with their norms.

        Returns:
            ``posture_logits``, ``movement_logits`` and their mean ``logits`` ``[N, n_classes]``,
            and ``affective`` ``[N, 31 * frames]``.
        """
        return self.heads(*self.streams(posture, movement))

    def heads(self, p: Var, m: Var) -> dict[str, Var]:
        """What `execute` returns, from the two streams' feature vectors."""
        posture_logits, movement_logits = self.fc1_classifier_p(p), self.fc1_classifier_m(m)
        return {
            "posture_logits": posture_logits,
            "movement_logits": movement_logits,
            "logits": (posture_logits + movement_logits) / 2,
            "affective": self.fc2_aff(p),
        }

    def streams(
        self, posture: Var, movement: Var, time: TimeForm = WHOLE_WINDOW
    ) -> tuple[Var, Var]:
        """Both streams up to their heads: two feature vectors ``[N, 4 width]``."""
        path = path_for(self)
        channels = 3 if isinstance(path, ChannelsLast) else 1
        p = path.enter(_normalised(posture, self.data_bn_p))
        m = path.enter(_normalised(movement, self.data_bn_m))
        interactions = dict(
            zip(_INTERACTION_AFTER, (self.fusion1, self.fusion2, self.fusion3), strict=True)
        )
        for i in range(1, len(_BLOCKS) + 1):
            p, m = (getattr(self, f"l{i}_{s}")(x, path, time) for s, x in (("p", p), ("m", m)))
            if i in interactions:
                p, m = interactions[i](p, m, channels, time)
        largest = self._variant == "paper"
        return time.pooled(p, path, largest=largest), time.pooled(m, path, largest=largest)


def _check(frames: int, variant: str, width: int) -> None:
    if width < 4 or width % 4:
        raise UsageError(f"bpm-gcn: width must be a positive multiple of 4, not {width}")
    if frames < 4 or frames % 4:
        raise UsageError(f"bpm-gcn: frames must be a positive multiple of 4, not {frames}")
    if variant not in ("released", "paper"):
        raise UsageError(f"bpm-gcn: variant must be 'released' or 'paper', not {variant!r}")


def _normalised(x: Var, norm: BatchNorm1d) -> Var:
    """Batch normalisation of every joint's channels: ``[N, C, T, V, 1]`` -> ``[N, C, T, V]``."""
    n, c, t, v = x.shape[:4]
    flat = x.reshape(n, c, t, v).transpose(0, 3, 1, 2).reshape(n, v * c, t)
    return norm(flat).reshape(n, v, c, t).transpose(0, 2, 3, 1)


def _conv(
    in_channels: int, out_channels: int, taps: int = 1, stride: int = 1, *, bias: bool = True
) -> Conv2d:
    """A convolution along time with the release's initial values (He-normal over the outputs)."""
    conv = Conv2d(
        in_channels,
        out_channels,
        (taps, 1),
        stride=(stride, 1),
        padding=(taps // 2, 0),
        bias=bias,
    )
    std = math.sqrt(2 / (out_channels * taps))
    conv.weight.assign(jt.init.gauss(conv.weight.shape, "float32", 0.0, std))
    if conv.bias is not None:
        conv.bias.assign(jt.zeros((out_channels,)))
    return conv


def _pointwise_list(in_channels: int, out_channels: int) -> Any:
    return jt.nn.ModuleList([_conv(in_channels, out_channels) for _ in range(_SUBSETS)])


def _classifier(in_features: int, n_classes: int) -> Linear:
    """A linear layer with 2s-AGCN's initial values: normal with variance 2 / classes."""
    linear = Linear(in_features, n_classes)
    std = math.sqrt(2 / n_classes)
    linear.weight.assign(jt.init.gauss(linear.weight.shape, "float32", 0.0, std))
    return linear
