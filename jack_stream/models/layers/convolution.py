"""Convolutions in one to three dimensions, channels first, with PyTorch's arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from jack_stream.models.layers.arrays import Module
from jack_stream.models.layers.linear import matmul
from jack_stream.models.layers.pooling import Margins, Padding, Sizes, margins_of, pad, sizes
from jack_stream.models.ops import usable
from jack_stream.runtime import jittor

__all__ = ["Conv1d", "Conv2d", "Conv3d", "Convolution", "Geometry", "convolve"]

jt = jittor()
Var = Any


@dataclass(frozen=True)
class Geometry:
    """How a kernel moves over its input; one entry per spatial axis.

    Attributes:
        stride: step between windows.
        margins: zeros before and after the input.
        dilation: distance between the kernel's taps.
        groups: into how many independent groups the channels are divided.
    """

    stride: tuple[int, ...]
    margins: Margins
    dilation: tuple[int, ...]
    groups: int = 1

    def spec(
        self,
        weights: tuple[int, ...],
        *,
        relu: bool = False,
        residual: int = 0,
        bf16: bool = False,
    ) -> str:
        """A convolution in the form that the operators read (ops/src/onednn_common.h).

        Args:
            weights: their shape, [O, C / groups, kernel...].
            relu: whether a ReLU ends it.
            residual: 0 without, 1 read, 2 overwritten.
            bf16: whether maps and weights are bfloat16.
        """
        return _spec(self, weights, relu=relu, residual=residual, bf16=bf16)


@lru_cache(maxsize=4096)
def _spec(
    geometry: Geometry, weights: tuple[int, ...], *, relu: bool, residual: int, bf16: bool
) -> str:
    outputs, inputs, *kernel = weights
    before, after = zip(*geometry.margins, strict=True)
    flags = (geometry.groups, int(relu), residual, int(bf16))
    axes = (*kernel, *geometry.stride, *geometry.dilation, *before, *after)
    numbers = (len(kernel), *flags, outputs, inputs, *axes)
    return ",".join(str(number) for number in numbers)


def convolve(x: Var, weight: Var, bias: Var | None, geometry: Geometry) -> Var:
    """Cross-correlation of [N, C, spatial...] with [O, C / groups, kernel...]."""
    dimensions = len(geometry.stride)
    x = pad(x, geometry.margins)
    if dimensions == 1:
        y = _convolve_1d(x, weight, geometry)
    elif _is_pointwise(weight, geometry):
        y = _mix_channels(x, weight)
    elif dimensions == 2:
        y = jt.nn.conv2d(x, weight, None, geometry.stride, 0, geometry.dilation, geometry.groups)
    else:
        y = _convolve_3d(x, weight, geometry)
    return y if bias is None else y + bias.reshape(1, -1, *[1] * dimensions)


def _is_pointwise(weight: Var, geometry: Geometry) -> bool:
    """Whether each position is seen alone, and oneDNN multiplies matrices here."""
    alone = all(n == 1 for n in (*weight.shape[2:], *geometry.stride, geometry.groups))
    return alone and usable()


def _mix_channels(x: Var, weight: Var) -> Var:
    """A matrix product per sample, which reorders no maps as oneDNN's convolution does."""
    n, c, *spatial = x.shape
    outputs = weight.shape[0]
    each = weight.reshape(1, outputs, c).expand(n, outputs, c)
    return matmul(each, x.reshape(n, c, -1)).reshape(n, outputs, *spatial)


def _convolve_1d(x: Var, weight: Var, geometry: Geometry) -> Var:
    """A matrix product where there is oneDNN's: several times as fast as its planes of width 1."""
    if usable() and geometry.groups == 1:
        n, c, length = x.shape
        (step,), (reach,), (outputs, _, taps) = geometry.stride, geometry.dilation, weight.shape
        windows = (length - (taps - 1) * reach - 1) // step + 1
        seen = x.reindex([n, windows, c, taps], ["i0", "i2", f"i1*{step}+i3*{reach}"])
        flat = weight.reshape(outputs, c * taps)
        y = matmul(seen.reshape(n * windows, c * taps), flat, b_transposed=True)
        return y.reshape(n, windows, outputs).transpose(0, 2, 1)
    stride, dilation = (geometry.stride[0], 1), (geometry.dilation[0], 1)
    planes, kernel = x.unsqueeze(-1), weight.unsqueeze(-1)
    return jt.nn.conv2d(planes, kernel, None, stride, 0, dilation, geometry.groups).squeeze(-1)


def _convolve_3d(x: Var, weight: Var, geometry: Geometry) -> Var:
    """One 2D convolution per tap in time; Jittor's own is a naive loop on the CPU."""
    n, c, t, h, w = x.shape
    taps, step, reach = weight.shape[2], geometry.stride[0], geometry.dilation[0]
    length = (t - (taps - 1) * reach - 1) // step + 1

    def one_tap(tap: int) -> Var:
        frames = x[:, :, tap * reach : tap * reach + (length - 1) * step + 1 : step]
        planes = frames.transpose(0, 2, 1, 3, 4).reshape(n * length, c, h, w)
        stride, dilation = geometry.stride[1:], geometry.dilation[1:]
        return jt.nn.conv2d(planes, weight[:, :, tap], None, stride, 0, dilation, geometry.groups)

    total = sum((one_tap(tap) for tap in range(1, taps)), start=one_tap(0))
    return total.reshape(n, length, *total.shape[1:]).transpose(0, 2, 1, 3, 4)


class Convolution(Module):
    """What the three convolutions share; parameters ``weight`` and, where asked for, ``bias``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: one size, or one per dimension; likewise ``stride``, ``padding``, ``dilation``.
        stride: step between windows.
        padding: zeros added on both sides; a pair (before, after) per axis where they differ.
        dilation: distance between the kernel's taps.
        groups: into how many independent groups the channels are divided.
        bias: whether a bias is added.
    """

    dimensions: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        *,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        self.is_train = True
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = sizes(kernel_size, self.dimensions)
        self.geometry = Geometry(
            sizes(stride, self.dimensions),
            margins_of(padding, self.dimensions),
            sizes(dilation, self.dimensions),
            groups,
        )
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))  # PyTorch's initialisation
        self.weight = jt.init.uniform(shape, "float32", -bound, bound)
        self.bias = jt.init.uniform((out_channels,), "float32", -bound, bound) if bias else None

    def execute(self, x: Var) -> Var:
        """[N, in_channels, spatial...] -> [N, out_channels, spatial...]."""
        return convolve(x, self.weight, self.bias, self.geometry)


class Conv1d(Convolution):
    """[N, C, L] -> [N, O, L']."""

    dimensions = 1


class Conv2d(Convolution):
    """[N, C, H, W] -> [N, O, H', W']."""

    dimensions = 2


class Conv3d(Convolution):
    """[N, C, T, H, W] -> [N, O, T', H', W']."""

    dimensions = 3
