"""Batch normalisation and dropout, as PyTorch does them."""

from __future__ import annotations

from typing import Any

from jack_stream.models.layers.arrays import Module
from jack_stream.runtime import jittor

__all__ = ["BatchNorm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Dropout"]

jt = jittor()
Var = Any


class BatchNorm(Module):
    """Normalises each channel of [N, C, ...] by the batch (training) or the running statistics.

    The running variance takes up the unbiased variance of the batch, as PyTorch's does; Jittor's
    own layer takes the biased one.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: the weight of the newest batch in the running statistics.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.is_train = True
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = jt.ones((num_features,))
        self.bias = jt.zeros((num_features,))
        self.running_mean = jt.zeros((num_features,)).stop_grad()
        self.running_var = jt.ones((num_features,)).stop_grad()

    def execute(self, x: Var) -> Var:
        """[N, C, ...] -> the same shape."""
        shape = (1, self.num_features, *[1] * (x.ndim - 2))
        if not self.is_train:
            scale = self.weight / jt.sqrt(self.running_var + self.eps)
            shift = self.bias - self.running_mean * scale
            return x * scale.reshape(shape) + shift.reshape(shape)
        mean, count = _channel_mean(x), x.numel() // self.num_features
        variance = _channel_mean((x - mean.reshape(shape)).sqr())
        self.remember(mean, variance * (count / max(count - 1, 1)))
        inverse = 1.0 / jt.sqrt(variance + self.eps)
        return _Normalised()(x, self.weight, self.bias, mean.detach(), inverse.detach())

    def remember(self, mean: Var, variance: Var) -> None:
        """Let the running statistics take up a batch's, [C] each, however it was normalised."""
        for running, newest in ((self.running_mean, mean), (self.running_var, variance)):
            running.update(running + (newest.detach() - running) * self.momentum)


class _Normalised(jt.Function):  # type: ignore[name-defined]
    """``weight (x - mean) / deviation + bias``, with the gradient through both statistics at once.

    Left to itself Jittor goes through a map a dozen times on the way back; here it is thrice.
    """

    def execute(self, x: Var, weight: Var, bias: Var, mean: Var, inverse: Var) -> Var:
        self.shape = (1, x.shape[1], *[1] * (x.ndim - 2))
        self.held = (x, weight, mean, inverse)
        scale = weight * inverse
        shift = bias - mean * scale
        return x * scale.reshape(self.shape) + shift.reshape(self.shape)

    def grad(self, g: Var) -> tuple[Var | None, ...]:
        x, weight, mean, inverse = self.held
        count = x.numel() // x.shape[1]
        centred = x - mean.reshape(self.shape)
        average = _channel_mean(g)
        product = _channel_mean(g * centred) * inverse
        scale = weight * inverse
        slope = scale * product * inverse
        level = g - average.reshape(self.shape)
        back = level * scale.reshape(self.shape) - centred * slope.reshape(self.shape)
        return back, product * count, average * count, None, None


def _channel_mean(x: Var) -> Var:
    """The mean of [N, C, ...] over all axes but C, axis by axis.

    One running sum in float32 over all of them would lose two digits where a map is large, and the
    gradients with them.
    """
    while x.ndim > 2:
        x = x.mean(-1)
    return x.mean(0)


class BatchNorm1d(BatchNorm):
    """[N, C] or [N, C, L]."""


class BatchNorm2d(BatchNorm):
    """[N, C, H, W]."""


class BatchNorm3d(BatchNorm):
    """[N, C, T, H, W]."""


class Dropout(Module):
    """Zeroes elements with probability p while training and scales the rest by 1 / (1 - p)."""

    def __init__(self, p: float = 0.5) -> None:
        self.is_train = True
        self.p = p

    def execute(self, x: Var) -> Var:
        """Any shape -> the same shape."""
        if not self.is_train or self.p == 0:
            return x
        keep = jt.random(x.shape) >= self.p
        return x * keep.float32() * (1 / (1 - self.p))
