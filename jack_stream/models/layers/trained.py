"""The oneDNN operators with their gradients: channels-last maps [N, spatial..., C] on the CPU."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from jack_stream.models.ops import operators
from jack_stream.runtime import jittor

if TYPE_CHECKING:
    from jack_stream.models.layers.convolution import Geometry
    from jack_stream.models.layers.normalization import BatchNorm

__all__ = ["convolve_last", "max_pool_last", "normalise_last", "relayout"]

jt = jittor()
Var = Any


class _Convolution(jt.Function):  # type: ignore[name-defined]
    def __init__(self, geometry: Geometry, *, relu: bool) -> None:
        self.geometry, self.relu = geometry, relu

    def execute(self, x: Var, weight: Var, bias: Var | None) -> Var:
        n, *spatial, c = x.shape
        self.dims = ",".join(str(size) for size in (n, c, *spatial))
        self.spec = self.geometry.spec(tuple(weight.shape), relu=self.relu)
        packed = operators().pack_weights(weight, self.spec, self.dims)
        added = _zeros(weight.shape[0]) if bias is None else bias
        y = operators().fused_conv(x, packed, added, self.spec)
        self.held = (x, weight, bias is not None, y if self.relu else None)
        return y

    def grad(self, g: Var) -> tuple[Var | None, ...]:
        x, weight, biased, y = self.held
        if y is not None:
            g = jt.ternary(y > 0.0, g, jt.zeros_like(g))
        back = operators().conv_input_gradient(g, weight, self.spec, self.dims)
        return (
            back,
            operators().conv_weight_gradient(x, g, self.spec),
            _summed(g) if biased else None,
        )


def convolve_last(
    x: Var, weight: Var, bias: Var | None, geometry: Geometry, *, relu: bool = False
) -> Var:
    """Cross-correlation of [N, spatial..., C] with [O, C / groups, kernel...], and a ReLU."""
    return _Convolution(geometry, relu=relu)(x, weight, bias)


class _Normalised(jt.Function):  # type: ignore[name-defined]
    def __init__(self, eps: float, *, relu: bool) -> None:
        self.eps, self.relu = eps, relu

    def execute(self, x: Var, weight: Var, bias: Var, residual: Var | None) -> Var:
        more = () if residual is None else (residual,)
        y, mean, variance = operators().batch_norm(x, weight, bias, *more, self.eps, int(self.relu))
        self.statistics = (mean, variance)
        self.held = (x, y, weight, residual is not None)
        return y

    def grad(self, g: Var) -> tuple[Var | None, ...]:
        x, y, weight, added = self.held
        flags = (self.eps, int(self.relu), int(added))
        to_x, to_weight, to_bias, *behind = operators().batch_norm_gradient(
            g, x, y, weight, *self.statistics, *flags
        )
        return to_x, to_weight, to_bias, (behind[0] if behind else g) if added else None


def normalise_last(
    x: Var, norm: BatchNorm, residual: Var | None = None, *, relu: bool = False
) -> Var:
    """Batch normalisation by the batch's statistics, which the running ones take up.

    Args:
        x: [N, spatial..., C].
        norm: the layer, in training mode.
        residual: added behind it.
        relu: whether a ReLU ends it.
    """
    function = _Normalised(norm.eps, relu=relu)
    y = function(x, norm.weight, norm.bias, residual)
    mean, variance = function.statistics
    count = x.numel() // norm.num_features
    norm.remember(mean, variance * (count / max(count - 1, 1)))
    return y


class _MaxPool(jt.Function):  # type: ignore[name-defined]
    def __init__(self, spec: str) -> None:
        self.spec = spec

    def execute(self, x: Var) -> Var:
        self.x = x
        return operators().pool_last(x, self.spec)

    def grad(self, g: Var) -> Var:
        return operators().pool_gradient(self.x, g, self.spec)


def max_pool_last(x: Var, spec: str) -> Var:
    """The pooling of a spec (ops/src/pool_last_op.h); of equal values the first has a gradient."""
    return _MaxPool(spec)(x)


class _Relayout(jt.Function):  # type: ignore[name-defined]
    def __init__(self, to_last: int) -> None:
        self.to_last = to_last

    def execute(self, x: Var) -> Var:
        return operators().relayout(x, self.to_last, "float32")

    def grad(self, g: Var) -> Var:
        return operators().relayout(g, 1 - self.to_last, "float32")


def relayout(x: Var, *, to_last: bool) -> Var:
    """[N, C, spatial...] to [N, spatial..., C], or back."""
    return _Relayout(int(to_last))(x)


@cache
def _zeros(count: int) -> Var:
    return jt.zeros((count,)).stop_grad()


def _summed(g: Var) -> Var:
    """Over all axes but the last, axis by axis: one running sum would lose two digits."""
    while g.ndim > 1:
        g = g.sum(0)
    return g
