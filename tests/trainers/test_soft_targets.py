import numpy as np
import pytest

from jack_stream.models import create
from jack_stream.models.layers import plain_only
from jack_stream.runtime import jittor
from trainers.losses.cross_entropy import cross_entropy

pytestmark = pytest.mark.jittor
jt = jittor()


def test_a_certain_distribution_is_a_label() -> None:
    logits = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    labels = np.arange(8, dtype=np.int32) % 4
    hard = cross_entropy(jt.array(logits), jt.array(labels)).numpy()
    soft = cross_entropy(jt.array(logits), jt.array(np.eye(4, dtype=np.float32)[labels])).numpy()
    np.testing.assert_allclose(soft, hard, rtol=1e-6)


def test_the_loss_of_a_distribution_is_least_where_it_is_met() -> None:
    target = np.array([[0.5, 0.25, 0.125, 0.125]], np.float32)
    met = cross_entropy(jt.array(np.log(target)), jt.array(target)).item()
    assert met == pytest.approx(-(target * np.log(target)).sum(), rel=1e-5)
    off = np.log(target) + np.array([[0.3, -0.1, 0.0, 0.2]], np.float32)
    assert cross_entropy(jt.array(off), jt.array(target)).item() > met


@pytest.mark.parametrize("width", [4, 16])
def test_a_narrow_gait_network_is_the_same_on_the_fast_path(width: int) -> None:
    rng = np.random.default_rng(width)
    model = create("bpm-gcn", width=width)
    inputs = {
        "posture": rng.normal(size=(2, 3, 48, 16, 1)).astype(np.float32),
        "movement": rng.normal(size=(2, 8, 48, 16, 1)).astype(np.float32),
    }
    fast = model.infer(inputs)
    with plain_only():
        plain = model.infer(inputs)
    for name, value in plain.items():
        np.testing.assert_allclose(fast[name], value, rtol=1e-4, atol=1e-4 * abs(value).max())
