"""The layers where they must differ from Jittor's own, and the door that weights come in by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jack_stream.errors import BundleError
from jack_stream.models.layers import (
    BatchNorm1d,
    BatchNorm3d,
    Conv2d,
    Conv3d,
    Dropout,
    Linear,
    Module,
    amax,
    argmax,
    avg_pool,
    constant,
    get_weights,
    max_pool,
    pad,
    relu,
    set_weights,
    softmax,
    topk,
)
from jack_stream.runtime import jittor
from tests.models.golden import assert_close

pytestmark = pytest.mark.jittor
jt = jittor()


class Small(Module):  # type: ignore[misc]
    def __init__(self) -> None:
        self.fc = Linear(3, 2)
        self.norm = BatchNorm1d(2)
        self.table = constant(np.arange(4.0))
        self._graph = constant(np.eye(2))

    def execute(self, x: Any) -> Any:
        return self.norm(self.fc(x))


def small_weights() -> dict[str, Any]:
    shapes = {name: value.shape for name, value in get_weights(Small()).items()}
    rng = np.random.default_rng(0)
    return {name: rng.random(shape) for name, shape in shapes.items()}


def test_weights_go_in_and_come_out_under_their_names() -> None:
    weights = small_weights()
    assert set(weights) == {
        "fc.weight",
        "fc.bias",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "table",
    }
    module = Small()
    set_weights(module, {**weights, "norm.num_batches_tracked": np.array(3)})
    for name, value in get_weights(module).items():
        np.testing.assert_array_equal(value, weights[name].astype(np.float32))


def test_weights_that_do_not_fit_are_all_named_and_change_nothing() -> None:
    module, weights = Small(), small_weights()
    before = get_weights(module)
    del weights["fc.bias"]
    weights["head.weight"] = np.zeros(2)
    weights["norm.bias"] = np.zeros(5)
    weights["norm.weight"] = np.zeros(2, int)
    with pytest.raises(BundleError) as caught:
        set_weights(module, weights)
    for part in (
        "missing (fc.bias)",
        "unexpected (head.weight)",
        "norm.bias is [5], expected [2]",
        "norm.weight is int64",
    ):
        assert part in str(caught.value)
    for name, value in get_weights(module).items():
        np.testing.assert_array_equal(value, before[name])


def test_patterns_allow_what_is_missing_or_unexpected() -> None:
    module, weights = Small(), small_weights()
    del weights["fc.bias"]
    weights["head.weight"] = np.zeros(2)
    set_weights(module, weights, allow_missing=["fc.*"], allow_unexpected=["head.*"])
    assert_close(get_weights(module)["fc.weight"], weights["fc.weight"], 1e-7)


def test_buffers_and_running_statistics_are_not_trained() -> None:
    module = Small()
    set_weights(module, small_weights())
    before = get_weights(module)
    module.train()
    optimizer = jt.optim.SGD(module.parameters(), lr=0.1)
    x = np.random.default_rng(1).random((8, 3), np.float32)
    optimizer.step((module(jt.array(x)) * jt.array([[1.0, -2.0]])).pow(2).sum())
    after = get_weights(module)
    np.testing.assert_array_equal(after["table"], before["table"])
    assert np.abs(after["fc.weight"] - before["fc.weight"]).max() > 0
    z = x @ before["fc.weight"].T + before["fc.bias"]
    assert_close(
        after["norm.running_mean"], 0.9 * before["norm.running_mean"] + 0.1 * z.mean(0), 1e-6
    )
    unbiased = z.var(0, ddof=1)
    assert_close(after["norm.running_var"], 0.9 * before["norm.running_var"] + 0.1 * unbiased, 1e-6)


def test_batch_norm_normalises_by_the_biased_variance_even_far_from_zero() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 6)) + 1000
    x = x.astype(np.float32)
    norm = BatchNorm3d(3)
    wide = x.astype(np.float64)
    mean, var = (f((0, 2, 3, 4), keepdims=True) for f in (wide.mean, wide.var))
    assert_close(norm(jt.array(x)).numpy(), (wide - mean) / np.sqrt(var + 1e-5), 1e-3)


def test_dropout_scales_while_training_and_does_nothing_after() -> None:
    layer, x = Dropout(0.75), jt.ones((200, 200))
    y = layer(x).numpy()
    assert set(np.unique(y)) == {0.0, 4.0}
    assert abs(y.mean() - 1) < 0.05
    layer.eval()
    np.testing.assert_array_equal(layer(x).numpy(), 1.0)


def test_reductions_return_what_pytorch_returns() -> None:
    x = np.random.default_rng(0).standard_normal((3, 7, 4)).astype(np.float32)
    v = jt.array(x)
    np.testing.assert_array_equal(argmax(v, 1).numpy(), x.argmax(1))
    np.testing.assert_array_equal(amax(v, 1).numpy(), x.max(1))
    values, indices = topk(v, 3, 1)
    order = np.argsort(-x, 1)[:, :3]
    np.testing.assert_array_equal(indices.numpy(), order)
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, order, 1))
    assert tuple(topk(v, 7, 1)[0].shape) == (3, 7, 4)


def test_softmax_survives_large_values() -> None:
    x = np.array([[1000.0, 1001.0], [-1000.0, -1000.0]], np.float32)
    expected = [[1 / (1 + np.e), np.e / (1 + np.e)], [0.5, 0.5]]
    np.testing.assert_allclose(softmax(jt.array(x), 1).numpy(), expected, rtol=1e-5)


def test_pools_take_kernels_as_large_as_the_map_and_margins() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 6)).astype(np.float32)
    v = jt.array(x)
    assert_close(avg_pool(v, (4, 6)).numpy(), x.mean((2, 3), keepdims=True), 1e-6)
    assert_close(max_pool(v, (4, 6)).numpy(), x.max((2, 3), keepdims=True), 1e-7)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    shifted = [padded[..., i : i + 4, j : j + 6] for i in range(3) for j in range(3)]
    means = np.mean(shifted, 0)
    assert_close(avg_pool(v, 3, 1, 1).numpy(), means, 1e-6)
    np.testing.assert_array_equal(
        pad(v, ((1, 0), (0, 2))).numpy(), np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 2)))
    )


@pytest.mark.parametrize(
    "layer", [Conv2d(2, 4, 3, padding=1), Conv3d(2, 4, 3, padding=1, stride=2)]
)
def test_convolutions_have_gradients(layer: Any) -> None:
    rng = np.random.default_rng(0)
    x = jt.array(rng.standard_normal((2, 2, *[5] * layer.dimensions)))
    y = layer(x)
    direction = jt.array(rng.standard_normal(y.shape))
    gradient = jt.grad((y * direction).sum(), layer.weight).numpy()
    step = rng.standard_normal(gradient.shape).astype(np.float32)
    before = layer.weight.numpy()
    # A convolution is linear in its weights, so a finite step gives the derivative itself.
    layer.weight.update(jt.array(before + step))
    moved = float(((layer(x) - y) * direction).sum().item())
    assert moved == pytest.approx(float((gradient * step).sum()), rel=1e-3)


def test_relu_keeps_what_is_positive() -> None:
    np.testing.assert_array_equal(relu(jt.array([-1.0, 0.0, 2.0])).numpy(), [0.0, 0.0, 2.0])
