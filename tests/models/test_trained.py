"""The operators that networks are trained with on the CPU, against NumPy in float64."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.models.layers import BatchNorm2d
from jack_stream.models.layers.convolution import Geometry
from jack_stream.models.layers.trained import convolve_last, max_pool_last, normalise_last, relayout
from jack_stream.runtime import jittor

pytestmark = pytest.mark.jittor
jt = jittor()
Array = npt.NDArray[Any]
ROUNDING = 5e-6


def agree(actual: Array, expected: Array) -> None:
    limit = ROUNDING * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=limit)


def last(x: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def first(x: Any) -> Array:
    return np.moveaxis(x.numpy(), -1, 1)


def gradients(y: Any, direction: Array, variables: list[Any]) -> list[Any]:
    """Of <y, direction>, flat, so that maps of all shapes share one kernel."""
    return list(jt.grad((y.reshape(-1) * jt.array(direction.reshape(-1))).sum(), variables))


def convolution(x: Array, weight: Array, geometry: Geometry, g: Array | None = None) -> Any:
    """Tap by tap: the result, or with ``g`` the gradients of both operands."""
    groups, (outputs, inputs, *kernel) = geometry.groups, weight.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *geometry.margins))
    axes = list(zip(padded.shape[2:], kernel, geometry.dilation, geometry.stride, strict=True))
    out = [(size - (k - 1) * d - 1) // s + 1 for size, k, d, s in axes]
    y, to_x, to_weight = np.zeros((len(x), outputs, *out)), np.zeros_like(padded), weight * 0.0
    for tap in itertools.product(*map(range, kernel)):
        steps = zip(tap, geometry.dilation, geometry.stride, out, strict=True)
        seen = [slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, s, o in steps]
        for group in range(groups):
            i = slice(group * inputs, (group + 1) * inputs)
            o = slice(group * outputs // groups, (group + 1) * outputs // groups)
            own: Any = (slice(None), i, *seen)
            at: Any = (o, slice(None), *tap)
            y[:, o] += np.einsum("nc...,oc->no...", padded[own], weight[at])
            if g is not None:
                to_x[own] += np.einsum("no...,oc->nc...", g[:, o], weight[at])
                both = [part.reshape(*part.shape[:2], -1) for part in (g[:, o], padded[own])]
                to_weight[at] += np.einsum("nop,ncp->oc", both[0], both[1])
    inner: Any = [slice(b, b + s) for (b, _), s in zip(geometry.margins, x.shape[2:], strict=True)]
    return y if g is None else (to_x[(slice(None), slice(None), *inner)], to_weight)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Geometry, tuple[int, ...], tuple[int, ...]]:
    """A geometry, and the shapes of an input and of weights that fit it."""
    axes = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    few, small = st.integers(1, 3), st.integers(0, 2)
    kernel, stride, dilation = (draw(st.tuples(*[few] * axes)) for _ in range(3))
    margins = draw(st.tuples(*[st.tuples(small, small)] * axes))
    size = tuple(
        (k - 1) * d + 1 + draw(st.integers(0, 5)) for k, d in zip(kernel, dilation, strict=True)
    )
    inputs, outputs = draw(st.sampled_from([(1, 4), (3, 5), (8, 16), (16, 32), (17, 2)]))
    x = (draw(st.integers(1, 3)), inputs * groups, *size)
    return Geometry(stride, margins, dilation, groups), x, (outputs * groups, inputs, *kernel)


@given(case=convolutions(), biased=st.booleans(), relu=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_convolution_and_its_gradients_are_their_definition(
    case: Any, seed: int, *, biased: bool, relu: bool
) -> None:
    geometry, shape, weights = case
    rng = np.random.default_rng(seed)
    x, weight = (rng.standard_normal(s).astype(np.float32) for s in (shape, weights))
    bias = rng.standard_normal(weights[0]).astype(np.float32) * biased
    expected = convolution(x, weight, geometry) + bias.reshape(1, -1, *[1] * (x.ndim - 2))
    kept = [jt.array(v) for v in (last(x), weight, bias)]
    y = convolve_last(kept[0], kept[1], kept[2] if biased else None, geometry, relu=relu)
    agree(first(y), np.maximum(expected, 0) if relu else expected)
    g = rng.standard_normal(expected.shape).astype(np.float32)
    found = gradients(y, last(g), kept if biased else kept[:2])
    behind = g * (first(y) > 0) if relu else g
    to_x, to_weight = convolution(x, weight, geometry, behind)
    agree(first(found[0]), to_x)
    agree(found[1].numpy(), to_weight)
    if biased:
        agree(found[2].numpy(), behind.sum((0, *range(2, x.ndim))))


@given(
    channels=st.sampled_from([1, 3, 16, 37, 64]),
    size=st.tuples(st.integers(1, 4), st.integers(8, 40), st.integers(1, 40)),
    added=st.booleans(),
    relu=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_a_batch_normalisation_and_its_gradients_are_their_definition(
    channels: int, size: tuple[int, ...], seed: int, *, added: bool, relu: bool
) -> None:
    rng = np.random.default_rng(seed)
    x, residual, g = rng.standard_normal((3, *size, channels)).astype(np.float32)
    norm = BatchNorm2d(channels)
    for vector in (norm.weight, norm.bias):
        vector.assign(jt.array(rng.standard_normal(channels).astype(np.float32)))
    weight, bias = norm.weight.numpy(), norm.bias.numpy()
    kept = [jt.array(x), norm.weight, norm.bias, jt.array(residual)]
    y = normalise_last(kept[0], norm, kept[3] if added else None, relu=relu)
    rows = x.reshape(-1, channels).astype(np.float64)
    mean, inverse = rows.mean(0), 1 / np.sqrt(rows.var(0) + norm.eps)
    hat = (x - mean) * inverse
    expected = hat * weight + bias + residual * added
    agree(y.numpy(), np.maximum(expected, 0) if relu else expected)
    agree(norm.running_mean.numpy(), 0.1 * mean)
    agree(norm.running_var.numpy(), 0.9 + 0.1 * rows.var(0, ddof=1))
    found = gradients(y, g, kept if added else kept[:3])
    behind = g * (y.numpy() > 0) if relu else g.astype(np.float64)
    level, slope = (v.reshape(-1, channels).mean(0) for v in (behind, behind * hat))
    agree(found[0].numpy(), weight * inverse * (behind - level - hat * slope))
    agree(found[1].numpy() / len(rows), slope)
    agree(found[2].numpy() / len(rows), level)
    if added:
        agree(found[3].numpy(), behind)


def test_a_batch_normalisation_keeps_its_digits_where_the_mean_is_large() -> None:
    x = (np.random.default_rng(0).standard_normal((64, 50, 40, 2)) + 300).astype(np.float32)
    norm = BatchNorm2d(2)
    y = normalise_last(jt.array(x), norm).numpy()
    rows = x.astype(np.float64).reshape(-1, 2)
    expected = (x - rows.mean(0)) / np.sqrt(rows.var(0) + norm.eps)
    np.testing.assert_allclose(y, expected, rtol=0, atol=3e-4)  # 300 in float32 is so coarse
    np.testing.assert_allclose(norm.running_var.numpy(), 0.9 + 0.1 * rows.var(0), rtol=2e-5)


def test_numbers_that_are_none_stay_so() -> None:
    x = np.ones((1, 2, 2, 1), np.float32)
    x[0, 0, 0, 0] = np.nan
    assert np.isnan(normalise_last(jt.array(x), BatchNorm2d(1), relu=True).numpy()).any()


def test_of_equal_values_the_first_has_the_gradient_of_max_pooling() -> None:
    x = np.array([[0, 0, 2, 1], [0, 0, 2, 3], [5, 5, 1, 1], [5, 4, 1, 1]], np.float32)
    kept = jt.array(x.reshape(1, 4, 4, 1).repeat(3, -1))
    y = max_pool_last(kept, "2,0,2,2,2,2,0,0,0,0")
    g = np.arange(1, 13, dtype=np.float32).reshape(1, 2, 2, 3)
    (found,) = gradients(y, g, [kept])
    expected = np.zeros((4, 4, 3))
    expected[0, 0], expected[1, 3], expected[2, 0], expected[2, 2] = g.reshape(4, 3)
    np.testing.assert_array_equal(found.numpy()[0], expected)


def test_windows_of_max_pooling_that_overlap_add_their_gradients() -> None:
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * 7 * 6 * 16).reshape(2, 7, 6, 16).astype(np.float32)
    kept = jt.array(x)
    y = max_pool_last(kept, "2,0,3,3,2,2,1,1,1,1")
    g = rng.standard_normal(tuple(y.shape)).astype(np.float32)
    padded, expected = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), np.zeros((2, 9, 8, 16))
    for row, column in itertools.product(range(y.shape[1]), range(y.shape[2])):
        window = (slice(None), slice(2 * row, 2 * row + 3), slice(2 * column, 2 * column + 3))
        largest = padded[window].max((1, 2), keepdims=True)
        expected[window] += (padded[window] == largest) * g[:, row : row + 1, column : column + 1]
    (found,) = gradients(y, g, [kept])
    agree(found.numpy(), expected[:, 1:-1, 1:-1])


def test_gradients_come_back_in_the_layout_that_they_left() -> None:
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 2, 3, 5, 4)).astype(np.float32)
    kept = jt.array(x)
    (found,) = gradients(relayout(kept, to_last=True), last(g), [kept])
    np.testing.assert_array_equal(found.numpy(), g)
