"""The ways through a network.

A network is written once against ``ExecutionPath``. Where oneDNN is, on the CPU, ``path_for`` takes
the fused way (channels-last, batch-norm, bias, residual and ReLU inside the convolution) in
evaluation mode under ``jt.no_grad()``, and the trained way (channels-last, differentiable)
otherwise. The plain way (Jittor, channels-first, differentiable) is for all other devices.

    path = path_for(self)
    y = path.enter(x)
    y = path.convolution(y, self.conv1, self.bn1, relu=True)
    return path.leave(y)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Literal, Protocol

from jack_stream.errors import UsageError
from jack_stream.models.layers.arrays import relu as plain_relu
from jack_stream.models.layers.convolution import Convolution, Geometry, convolve
from jack_stream.models.layers.folding import folded, forget
from jack_stream.models.layers.linear import Linear
from jack_stream.models.layers.normalization import BatchNorm
from jack_stream.models.layers.pooling import Margins, Padding, Sizes, margins_of, max_pool, sizes
from jack_stream.models.layers.trained import (
    convolve_last,
    max_pool_last,
    normalise_last,
    relayout,
)
from jack_stream.models.ops import operators, usable
from jack_stream.runtime import has_bfloat16, jittor

__all__ = ["ExecutionPath", "path_for", "plain_only", "set_precision"]

jt = jittor()
Var = Any


class ExecutionPath(Protocol):
    """The steps that a network is made of. Maps are in the path's own layout between them."""

    def enter(self, x: Var) -> Var:
        """[N, C, spatial...] in the path's layout."""

    def leave(self, x: Var) -> Var:
        """The path's layout back to [N, C, spatial...]."""

    def spatial(self, x: Var) -> tuple[int, ...]:
        """The spatial sizes of a map in the path's layout."""

    def convolution(
        self,
        x: Var,
        layer: Convolution,
        norm: BatchNorm | None = None,
        *,
        residual: Var | None = None,
        relu: bool = False,
        margins: Margins | None = None,
        reuse_residual: bool = True,
    ) -> Var:
        """act(norm(layer(x)) + residual).

        The residual is used up: its memory may hold the result, so nothing may read it afterwards,
        unless ``reuse_residual`` is off. ``margins`` replace the layer's own.
        """

    def normalised(self, x: Var, norm: BatchNorm) -> Var:
        """Batch normalisation of a map that no convolution made."""

    def linear(self, x: Var, layer: Linear, *, relu: bool = False) -> Var:
        """A linear layer over the last axis of [..., C], whatever the path's layout."""

    def max_pool(self, x: Var, kernel: Sizes, stride: Sizes, padding: Padding = 0) -> Var:
        """The largest value of each window; margins are never a maximum."""

    def concatenate(self, maps: Sequence[Var]) -> Var:
        """Joined along the channels."""

    def mean(self, x: Var) -> Var:
        """The mean over all spatial axes: [N, C]."""


class PlainPath:
    """Channels-first, differentiable, on any device."""

    def enter(self, x: Var) -> Var:
        return x

    def leave(self, x: Var) -> Var:
        return x

    def spatial(self, x: Var) -> tuple[int, ...]:
        return tuple(x.shape[2:])

    def convolution(
        self,
        x: Var,
        layer: Convolution,
        norm: BatchNorm | None = None,
        *,
        residual: Var | None = None,
        relu: bool = False,
        margins: Margins | None = None,
        reuse_residual: bool = True,  # noqa: ARG002 - here nothing is ever overwritten
    ) -> Var:
        forget(layer)
        geometry = replace(layer.geometry, margins=margins) if margins else layer.geometry
        y = convolve(x, layer.weight, layer.bias, geometry)
        y = y if norm is None else norm(y)
        y = y if residual is None else y + residual
        return plain_relu(y) if relu else y

    def normalised(self, x: Var, norm: BatchNorm) -> Var:
        return norm(x)

    def linear(self, x: Var, layer: Linear, *, relu: bool = False) -> Var:
        forget(layer)
        y = layer(x)
        return plain_relu(y) if relu else y

    def max_pool(self, x: Var, kernel: Sizes, stride: Sizes, padding: Padding = 0) -> Var:
        return max_pool(x, kernel, stride, padding)

    def concatenate(self, maps: Sequence[Var]) -> Var:
        return jt.concat(list(maps), 1)

    def mean(self, x: Var) -> Var:
        return x.mean(list(range(2, x.ndim)))


class ChannelsLast:
    """What the ways on oneDNN share: maps are [N, spatial..., C]."""

    def spatial(self, x: Var) -> tuple[int, ...]:
        return tuple(x.shape[1:-1])

    def concatenate(self, maps: Sequence[Var]) -> Var:
        return jt.concat(list(maps), -1)

    def mean(self, x: Var) -> Var:
        return x.reshape(x.shape[0], -1, x.shape[-1]).mean(1)

    def normalised(self, x: Var, norm: BatchNorm) -> Var:
        scale = norm.weight / jt.sqrt(norm.running_var + norm.eps)
        return x * scale + (norm.bias - norm.running_mean * scale)


class TrainedPath(ChannelsLast):
    """Channels-last oneDNN on the CPU, differentiable."""

    def enter(self, x: Var) -> Var:
        return relayout(x, to_last=True)

    def leave(self, x: Var) -> Var:
        return relayout(x, to_last=False)

    def convolution(
        self,
        x: Var,
        layer: Convolution,
        norm: BatchNorm | None = None,
        *,
        residual: Var | None = None,
        relu: bool = False,
        margins: Margins | None = None,
        reuse_residual: bool = True,  # noqa: ARG002 - here nothing is ever overwritten
    ) -> Var:
        forget(layer)
        geometry = replace(layer.geometry, margins=margins) if margins else layer.geometry
        bare = norm is None and residual is None
        y = convolve_last(x, layer.weight, layer.bias, geometry, relu=relu and bare)
        if norm is not None and norm.is_train:
            return normalise_last(y, norm, residual, relu=relu)
        y = y if norm is None else self.normalised(y, norm)
        y = y if residual is None else y + residual
        return plain_relu(y) if relu and not bare else y

    def normalised(self, x: Var, norm: BatchNorm) -> Var:
        return normalise_last(x, norm) if norm.is_train else super().normalised(x, norm)

    def linear(self, x: Var, layer: Linear, *, relu: bool = False) -> Var:
        return _PLAIN.linear(x, layer, relu=relu)

    def max_pool(self, x: Var, kernel: Sizes, stride: Sizes, padding: Padding = 0) -> Var:
        return max_pool_last(x, _pooling(x, kernel, stride, padding))


class FusedPath(ChannelsLast):
    """Channels-last oneDNN on the CPU, for inference."""

    bf16: ClassVar[bool] = False

    def enter(self, x: Var) -> Var:
        return operators().relayout(x, 1, "bfloat16" if self.bf16 else "float32")

    def leave(self, x: Var) -> Var:
        return operators().relayout(x, 0, "float32")

    def convolution(
        self,
        x: Var,
        layer: Convolution,
        norm: BatchNorm | None = None,
        *,
        residual: Var | None = None,
        relu: bool = False,
        margins: Margins | None = None,
        reuse_residual: bool = True,
    ) -> Var:
        geometry = replace(layer.geometry, margins=margins) if margins else layer.geometry
        ready = folded(layer, norm)
        mode = _OVERWRITTEN if reuse_residual else _READ
        kept = 0 if residual is None else mode
        spec = ready.spec(geometry, relu=relu, residual=kept, bf16=self.bf16)
        inputs = [x, ready.packed(spec, tuple(x.shape)), ready.bias]
        return operators().fused_conv(*inputs, *([] if residual is None else [residual]), spec)

    def linear(self, x: Var, layer: Linear, *, relu: bool = False) -> Var:
        ready = folded(layer, None)
        spec = ready.spec(_POINTWISE, relu=relu, residual=0)
        flat = x.reshape(1, -1, x.shape[-1])
        y = operators().fused_conv(flat, ready.packed(spec, tuple(flat.shape)), ready.bias, spec)
        return y.reshape(*x.shape[:-1], layer.out_features)

    def max_pool(self, x: Var, kernel: Sizes, stride: Sizes, padding: Padding = 0) -> Var:
        return operators().pool_last(x, _pooling(x, kernel, stride, padding))


class ReducedPath(FusedPath):
    """The fused way with maps and weights in bfloat16; sums are float32, as is what leaves it."""

    bf16 = True

    def mean(self, x: Var) -> Var:
        return self.leave(x).mean(list(range(2, x.ndim)))


def _pooling(x: Var, kernel: Sizes, stride: Sizes, padding: Padding) -> str:
    """Max-pooling in the form that the operators read (ops/src/pool_last_op.h)."""
    dimensions = x.ndim - 2
    before, after = zip(*margins_of(padding, dimensions), strict=True)
    axes = (*sizes(kernel, dimensions), *sizes(stride, dimensions), *before, *after)
    return ",".join(str(n) for n in (dimensions, 0, *axes))


# What becomes of the residual (src/onednn_common.h): it is read, or its memory takes the result.
_READ, _OVERWRITTEN = 1, 2
_POINTWISE = Geometry((1,), ((0, 0),), (1,))
_PLAIN, _TRAINED, _FUSED, _REDUCED = PlainPath(), TrainedPath(), FusedPath(), ReducedPath()
_forced_plain = 0


def path_for(module: Any) -> ExecutionPath:
    """The plain way without oneDNN; with it the fused one where nothing is trained."""
    if _forced_plain or not usable():
        return _PLAIN
    if module.is_train or not jt.flags.no_grad:
        return _TRAINED
    return _REDUCED if getattr(module, "precision", "float32") == "bfloat16" else _FUSED


def set_precision(module: Any, precision: Literal["float32", "bfloat16"]) -> None:
    """Choose the arithmetic of a network's backbones on the fused way; all else stays float32.

    What bfloat16 costs in accuracy stands in docs/performance.md.

    Raises:
        UsageError: the processor has no bfloat16, or the network has no backbone.
    """
    backbones = [part for part in module.modules() if hasattr(type(part), "precision")]
    if not backbones:
        raise UsageError(f"{type(module).__name__} has no part that can run in {precision}.")
    if precision == "bfloat16" and not has_bfloat16():
        raise UsageError(
            "This processor has no bfloat16 instructions (avx512_bf16).",
            hint="Use precision float32.",
        )
    for part in backbones:
        part.precision = precision


@contextmanager
def plain_only() -> Iterator[None]:
    """Take the plain way everywhere: what the fast one is compared with."""
    global _forced_plain  # noqa: PLW0603 - Jittor runs in one thread of a process
    _forced_plain += 1
    try:
        yield
    finally:
        _forced_plain -= 1
