"""A convolution with its batch normalisation folded in, packed for oneDNN.

    y = gamma (conv(x) + b - mean) / sqrt(var + eps) + beta

is a convolution again, with weights scaled per output channel and another bias. It is computed in
float64 once, and packed per layout that oneDNN asks for.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jack_stream.models.ops import operators
from jack_stream.runtime import jittor

if TYPE_CHECKING:
    from jack_stream.models.layers.convolution import Convolution, Geometry
    from jack_stream.models.layers.linear import Linear
    from jack_stream.models.layers.normalization import BatchNorm

__all__ = ["Folded", "fold", "folded", "forget"]

jt = jittor()
Var = Any
Array = npt.NDArray[np.float32]

# Input shapes differ in batch size and length and nearly always agree on the layout. A network that
# meets more shapes or layouts than this packs the oldest anew when it comes again.
_SHAPES = 256
_LAYOUTS = 3


class Folded:
    """Folded weights of one convolution, packed on demand for the shapes that come.

    Args:
        source: the convolution or linear layer.
        norm: the batch normalisation behind it, if there is one.
    """

    def __init__(self, source: Convolution | Linear, norm: BatchNorm | None) -> None:
        self._source, self._norm = source, norm
        weights, bias = fold(source, norm)
        self.bias = jt.array(bias).stop_grad()
        self._shape = weights.shape
        self._layouts: OrderedDict[str, Var] = OrderedDict()
        self._packed: OrderedDict[tuple[str, tuple[int, ...]], Var] = OrderedDict()

    def spec(self, geometry: Geometry, *, relu: bool, residual: int, bf16: bool = False) -> str:
        """This convolution in the form that the operators read."""
        weights = (*self._shape, 1) if len(self._shape) == 2 else self._shape
        return geometry.spec(weights, relu=relu, residual=residual, bf16=bf16)

    def packed(self, spec: str, input_shape: tuple[int, ...]) -> Var:
        """The weights for a channels-last input of this shape [N, spatial..., C]."""
        key = (spec, input_shape)
        if key not in self._packed:
            self._packed[key] = self._in_layout(spec, input_shape)
            if len(self._packed) > _SHAPES:
                self._packed.popitem(last=False)
        return self._packed[key]

    def _in_layout(self, spec: str, input_shape: tuple[int, ...]) -> Var:
        n, *spatial, c = input_shape
        dims = ",".join(str(size) for size in (n, c, *spatial))
        layout = operators().weights_layout(spec, dims)
        if layout not in self._layouts:
            weights, _ = fold(self._source, self._norm)
            packed = operators().pack_weights(jt.array(weights), spec, dims).stop_grad()
            packed.sync()
            self._layouts[layout] = packed
            if len(self._layouts) > _LAYOUTS:
                _, oldest = self._layouts.popitem(last=False)
                self._packed = OrderedDict(
                    (key, value) for key, value in self._packed.items() if value is not oldest
                )
        return self._layouts[layout]


def fold(source: Convolution | Linear, norm: BatchNorm | None) -> tuple[Array, Array]:
    """Weights and bias of the one convolution that does the work of both, computed in float64."""
    weight = source.weight.numpy().astype(np.float64)
    outputs = weight.shape[0]
    bias = np.zeros(outputs) if source.bias is None else source.bias.numpy().astype(np.float64)
    if norm is not None:
        gamma, beta = norm.weight.numpy(), norm.bias.numpy()
        scale = gamma / np.sqrt(norm.running_var.numpy().astype(np.float64) + norm.eps)
        weight *= scale.reshape(-1, *[1] * (weight.ndim - 1))
        bias = (bias - norm.running_mean.numpy()) * scale + beta
    return weight.astype(np.float32), bias.astype(np.float32)


def folded(source: Convolution | Linear, norm: BatchNorm | None) -> Folded:
    """What was folded for this layer before, or a new one."""
    held = source.__dict__.get("_folded")
    if held is None:
        held = Folded(source, norm)
        source.__dict__["_folded"] = held
    return held


def forget(source: Any) -> None:
    """Drop what was folded: the layer's weights have changed or are about to."""
    source.__dict__.pop("_folded", None)
