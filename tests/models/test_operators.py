"""The fused oneDNN operators against NumPy written from their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from jack_stream.models.layers import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    Conv1d,
    Conv2d,
    Conv3d,
    Linear,
    folding,
    graph_attention,
    matmul,
    path_for,
    plain_only,
    set_weights,
)
from jack_stream.models.layers.pooling import margins_of
from jack_stream.runtime import jittor
from tests.models.golden import assert_close

pytestmark = pytest.mark.jittor
jt = jittor()
Array = npt.NDArray[Any]
LAYERS = {1: (Conv1d, BatchNorm1d), 2: (Conv2d, BatchNorm2d), 3: (Conv3d, BatchNorm3d)}
ROUNDING = 3e-6


def windows(
    x: Array, kernel: Any, stride: Any, margins: Any, *, dilation: Any, fill: float = 0.0
) -> Array:
    """[N, C, spatial...] -> [N, C, positions..., kernel...]."""
    padded = np.pad(x, ((0, 0), (0, 0), *margins), constant_values=fill)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    axes = tuple(range(2, x.ndim))
    views: Array = np.lib.stride_tricks.sliding_window_view(padded, tuple(reach), axes)  # type: ignore[call-overload]
    steps = [slice(None, None, s) for s in stride]
    taps = [slice(None, None, d) for d in dilation]
    return np.asarray(views[(slice(None), slice(None), *steps, *taps)])


def convolve(x: Array, layer: Any, margins: Any = None) -> Array:
    """The layer's convolution in float64."""
    geometry, weight = layer.geometry, layer.weight.numpy().astype(np.float64)
    taps = windows(
        x.astype(np.float64),
        layer.kernel_size,
        geometry.stride,
        margins or geometry.margins,
        dilation=geometry.dilation,
    )
    dimensions, groups = x.ndim - 2, geometry.groups
    positions = taps.shape[2 : 2 + dimensions]
    taps = taps.reshape(len(x), groups, -1, *taps.shape[2:])
    weight = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    space, kernel = "xyz"[:dimensions], "uvw"[:dimensions]
    y = np.einsum(f"ngc{space}{kernel},goc{kernel}->ngo{space}", taps, weight)
    y = np.asarray(y.reshape(len(x), -1, *positions))
    bias = 0.0 if layer.bias is None else layer.bias.numpy().reshape(1, -1, *[1] * dimensions)
    return np.asarray(y + bias)


def normalise(x: Array, norm: Any) -> Array:
    """Batch normalisation with the running statistics, in float64."""
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean, var, gamma, beta = (
        v.numpy().astype(np.float64).reshape(shape)
        for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return np.asarray((x - mean) / np.sqrt(var + norm.eps) * gamma + beta)


def random_norm(norm: Any, rng: np.random.Generator) -> Any:
    values = {name: rng.random(norm.num_features) + 0.5 for name in norm.state_dict()}
    set_weights(norm, values)
    norm.eval()
    return norm


def run_fused(x: Array, *arguments: Any, **options: Any) -> Array:
    """One convolution on the fused path, channels first on both sides."""
    layer = arguments[0]
    layer.eval()
    with jt.no_grad():
        path = path_for(layer)
        if options.get("residual") is not None:
            options["residual"] = path.enter(jt.array(options["residual"]))
        y = path.leave(path.convolution(path.enter(jt.array(x)), *arguments, **options))
        return np.asarray(y.numpy())


CONVOLUTIONS: dict[str, Any] = {
    "pointwise": (1, 4, 6, {"kernel_size": 1}, (5,)),
    "1d": (1, 5, 7, {"kernel_size": 3, "padding": 1}, (9,)),
    "1d-dilated": (1, 4, 4, {"kernel_size": 3, "dilation": 2, "padding": 2}, (11,)),
    "1d-no-bias": (1, 16, 32, {"kernel_size": 3, "stride": 2, "bias": False}, (10,)),
    "2d": (2, 3, 16, {"kernel_size": 7, "stride": 2, "padding": 3}, (20, 18)),
    "2d-tall": (2, 1, 8, {"kernel_size": (7, 1), "stride": (2, 1), "padding": (3, 0)}, (17, 5)),
    "2d-groups": (2, 6, 9, {"kernel_size": 3, "groups": 3, "padding": 1}, (6, 5)),
    "2d-depthwise": (2, 8, 8, {"kernel_size": 3, "groups": 8, "padding": 1}, (6, 5)),
    "2d-lopsided": (2, 4, 4, {"kernel_size": 3, "padding": ((0, 1), (2, 0))}, (6, 7)),
    "3d": (3, 3, 8, {"kernel_size": 3, "stride": (1, 2, 2), "padding": 1}, (4, 9, 8)),
    "3d-lopsided": (3, 4, 5, {"kernel_size": 2, "padding": ((0, 1), (1, 1), (0, 0))}, (3, 4, 5)),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_folded_convolution_is_its_definition(case: str, batch: int) -> None:
    dimensions, inputs, outputs, options, size = CONVOLUTIONS[case]
    rng = np.random.default_rng(len(case) + batch)
    conv, norm = LAYERS[dimensions]
    layer, normed = conv(inputs, outputs, **options), random_norm(norm(outputs), rng)
    x = rng.standard_normal((batch, inputs, *size)).astype(np.float32)
    expected = normalise(convolve(x, layer), normed)
    residual = rng.standard_normal(expected.shape).astype(np.float32)
    fused = run_fused(x, layer, normed, residual=residual, relu=True)
    assert_close(fused, np.maximum(expected + residual, 0), ROUNDING, case)
    assert_close(run_fused(x, layer, normed), expected, ROUNDING, f"{case}, nothing after it")


def test_margins_of_one_call_replace_the_layers_own() -> None:
    rng = np.random.default_rng(0)
    layer = Conv3d(2, 4, 3, stride=2)
    x = rng.standard_normal((1, 2, 5, 6, 7)).astype(np.float32)
    margins = ((0, 1), (1, 1), (2, 0))
    assert_close(run_fused(x, layer, margins=margins), convolve(x, layer, margins), ROUNDING)


def test_one_layer_serves_inputs_of_changing_shape_and_keeps_few_copies() -> None:
    rng = np.random.default_rng(0)
    layer = Conv2d(8, 16, 3, padding=1)
    for batch, height in ((1, 5), (4, 5), (1, 9), (2, 30), (1, 5)):
        x = rng.standard_normal((batch, 8, height, 6)).astype(np.float32)
        assert_close(run_fused(x, layer), convolve(x, layer), ROUNDING)
    held = folding.folded(layer, None)
    assert len(held._packed) == 4
    assert len(held._layouts) <= folding._LAYOUTS


def test_the_packed_weights_of_many_shapes_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_SHAPES", 3)
    layer = Conv1d(4, 4, 3)
    for length in range(3, 13):
        run_fused(np.ones((1, 4, length), np.float32), layer)
    assert len(folding.folded(layer, None)._packed) == 3


def test_new_weights_replace_what_was_folded() -> None:
    layer, x = Conv1d(2, 3, 1), np.ones((1, 2, 4), np.float32)
    run_fused(x, layer)
    set_weights(layer, {"weight": np.full((3, 2, 1), 2.0), "bias": np.full(3, 0.5)})
    np.testing.assert_allclose(run_fused(x, layer), 4.5)


def test_training_in_between_replaces_what_was_folded() -> None:
    layer, x = Conv1d(2, 3, 1), np.ones((1, 2, 4), np.float32)
    run_fused(x, layer)
    layer.train()
    optimizer = jt.optim.SGD(layer.parameters(), lr=1.0)
    path = path_for(layer)
    optimizer.step(path.leave(path.convolution(path.enter(jt.array(x)), layer)).sum())
    assert_close(run_fused(x, layer), convolve(x, layer), ROUNDING)


def test_a_linear_layer_keeps_the_leading_axes() -> None:
    rng = np.random.default_rng(0)
    layer: Any = Linear(12, 7)
    layer.eval()
    x = rng.standard_normal((2, 3, 5, 12)).astype(np.float32)
    expected = np.maximum(x @ layer.weight.numpy().T + layer.bias.numpy(), 0)
    with jt.no_grad():
        fused = path_for(layer).linear(jt.array(x), layer, relu=True)
    assert_close(fused.numpy(), expected, ROUNDING)


POOLS: dict[str, Any] = {
    "3d": ((2, 3, 5, 8, 7), 3, 2, 1),
    "whole": ((1, 4, 2, 6, 6), (2, 6, 6), 1, 0),
    "lopsided": ((1, 16, 4, 5, 5), 2, (1, 2, 2), ((0, 1), (0, 1), (1, 0))),
    "2d": ((3, 5, 9, 8), (3, 2), 2, (1, 0)),
}


@pytest.mark.parametrize("case", POOLS)
def test_max_pooling_is_its_definition_on_both_paths(case: str) -> None:
    shape, kernel, stride, padding = POOLS[case]
    dimensions = len(shape) - 2
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32) - 3
    kernels = (kernel,) * dimensions if isinstance(kernel, int) else kernel
    strides = (stride,) * dimensions if isinstance(stride, int) else stride
    margins = margins_of(padding, dimensions)
    taps = windows(x, kernels, strides, margins, dilation=(1,) * dimensions, fill=-np.inf)
    expected = taps.max(tuple(range(2 + dimensions, 2 + 2 * dimensions)))
    anything = Linear(1, 1)
    anything.eval()
    with jt.no_grad():
        path = path_for(anything)
        fused = path.leave(path.max_pool(path.enter(jt.array(x)), kernel, stride, padding))
        with plain_only():
            plain = path_for(anything).max_pool(jt.array(x), kernel, stride, padding)
    np.testing.assert_array_equal(fused.numpy(), expected)
    np.testing.assert_array_equal(plain.numpy(), expected)


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 17, 4, 6), (3, 1, 2, 5, 7), (2, 64, 2, 2, 2)])
def test_maps_enter_and_leave_the_fused_path_as_they_are(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    anything = Linear(1, 1)
    anything.eval()
    with jt.no_grad():
        path = path_for(anything)
        inside = path.enter(jt.array(x))
        assert path.spatial(inside) == shape[2:]
        np.testing.assert_array_equal(inside.numpy(), np.moveaxis(x, 1, -1))
        np.testing.assert_array_equal(path.leave(inside).numpy(), x)
        assert_close(path.mean(inside).numpy(), x.mean(tuple(range(2, x.ndim))), ROUNDING)


@pytest.mark.parametrize("a_transposed", [False, True])
@pytest.mark.parametrize("b_transposed", [False, True])
def test_matmul_and_its_gradients(*, a_transposed: bool, b_transposed: bool) -> None:
    rng = np.random.default_rng(1)
    a, b, g = (
        rng.standard_normal((2, 3, *size)).astype(np.float32)
        for size in ((40, 17), (17, 30), (40, 30))
    )
    stored_a = jt.array(a.swapaxes(-1, -2) if a_transposed else a)
    stored_b = jt.array(b.swapaxes(-1, -2) if b_transposed else b)
    y = matmul(stored_a, stored_b, a_transposed=a_transposed, b_transposed=b_transposed)
    grad_a, grad_b = (v.numpy() for v in jt.grad((y * jt.array(g)).sum(), [stored_a, stored_b]))
    assert_close(y.numpy(), a @ b, ROUNDING)
    assert_close(grad_a.swapaxes(-1, -2) if a_transposed else grad_a, g @ b.swapaxes(-1, -2), 3e-6)
    assert_close(grad_b.swapaxes(-1, -2) if b_transposed else grad_b, a.swapaxes(-1, -2) @ g, 3e-6)
    with jt.no_grad():
        again = matmul(stored_a, stored_b, a_transposed=a_transposed, b_transposed=b_transposed)
    np.testing.assert_array_equal(again.numpy(), y.numpy())


def test_matmul_with_one_matrix_and_with_axes_that_differ() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((5, 6))
    assert_close(matmul(jt.array(a), jt.array(b)).numpy(), a @ b, ROUNDING)
    with pytest.raises(ValueError, match="leading axes differ"):
        matmul(jt.array(a), jt.array(rng.standard_normal((4, 3, 5, 6))))


def test_operators_refuse_other_types_instead_of_misreading_them() -> None:
    wide = jt.array(np.ones((2, 3, 4))).float64()
    with pytest.raises(RuntimeError, match="must be float32"):
        matmul(wide, wide, b_transposed=True).sync()


@pytest.mark.parametrize(("joints", "channels", "inner"), [(16, 64, 16), (16, 3, 20), (11, 20, 5)])
def test_graph_attention_is_its_equation_on_both_paths(
    joints: int, channels: int, inner: int
) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 6, joints, channels))
    queries, keys = rng.standard_normal((2, 2, 6, joints, 3, inner)) * 3
    adjacency = rng.random((3, joints, joints))
    scores = np.einsum("ntvsk,ntusk->nsvu", queries, keys) / (inner * 6)
    graph = np.exp(scores) / np.exp(scores).sum(2, keepdims=True) + adjacency
    expected = np.einsum("ntvc,nsvu->ntusc", x, graph)
    arrays = [jt.array(value) for value in (x, queries, keys, adjacency)]
    assert_close(graph_attention(*arrays).numpy(), expected, ROUNDING, "plain")
    with jt.no_grad():
        assert_close(graph_attention(*arrays).numpy(), expected, ROUNDING, "fused")
