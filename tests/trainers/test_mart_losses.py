"""MART's losses against the released code where it has them, against plain float64 elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from jack_stream.models.labels import VIDEO_EMOTION_8
from jack_stream.runtime import jittor
from tests.models.golden import HEAD, Golden, assert_close
from trainers.losses.mart import complementary_contrast, temporal_divergence
from trainers.losses.pcce import pcce, polarity

pytestmark = pytest.mark.jittor
jt = jittor()
Array = npt.NDArray[Any]


def _contrast(a: Array, words: Array, other: Array, said: Array, tau: float) -> float:
    """(5) word for word, segment by segment."""
    a, words, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, words, other))
    losses = []
    for t in np.flatnonzero(said):
        own = np.exp(a[t] @ words[t] / tau)
        others = [np.exp(a[t] @ words[u] / tau) for u in np.flatnonzero(said) if u != t]
        losses.append(-np.log(own / (own + np.exp(a[t] @ other[t] / tau) + sum(others))))
    return float(np.mean(losses))


def _divergence(whole: Array, hidden: Array) -> float:
    p, q = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (whole, hidden))
    return float((p * np.log(p / q)).sum(1).mean())


def _assert_gradients(
    loss: Callable[..., Any], reference: Callable[..., float], inputs: list[Array]
) -> None:
    """Of a scalar in all its inputs, against central differences of the reference."""
    variables = [jt.array(x.astype(np.float32)) for x in inputs]
    value = loss(*variables)
    np.testing.assert_allclose(value.item(), reference(*inputs), rtol=1e-4)
    rng = np.random.default_rng(9)
    for i, gradient in enumerate(jt.grad(value, variables)):
        for _ in range(6):
            at = tuple(rng.integers(n) for n in inputs[i].shape)
            up, down = ([x.copy() for x in inputs] for _ in range(2))
            up[i][at] += 1e-5
            down[i][at] -= 1e-5
            slope = (reference(*up) - reference(*down)) / 2e-5
            assert gradient.numpy()[at] == pytest.approx(slope, rel=1e-3, abs=2e-5)


@pytest.mark.parametrize("said", [[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 1, 0, 0]])
@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_the_contrast_pulls_words_and_pushes_sound_and_other_times(
    said: list[int], tau: float
) -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(5, 12)) for _ in range(3)]
    there = np.array(said, bool)
    _assert_gradients(
        lambda a, words, other: complementary_contrast(a, words, other, there, temperature=tau),
        lambda a, words, other: _contrast(a, words, other, there, tau),
        inputs,
    )


def test_without_words_there_is_no_contrast() -> None:
    x = jt.array(np.ones((3, 4), np.float32))
    assert complementary_contrast(x, x, x, np.zeros(3, bool), temperature=0.1).item() == 0


def test_the_divergence_of_the_temporal_distributions() -> None:
    rng = np.random.default_rng(1)
    whole, hidden = (3 * rng.normal(size=(4, 8)) for _ in range(2))
    fixed = jt.array(whole.astype(np.float32))
    _assert_gradients(
        lambda x: temporal_divergence(fixed, x), lambda x: _divergence(whole, x), [hidden]
    )
    assert temporal_divergence(fixed, fixed).item() == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(jt.grad(temporal_divergence(fixed, fixed * 2), fixed).numpy(), 0)


def test_the_classification_loss_is_that_of_the_released_code(shared: Path) -> None:
    """From the words' logits; tests/models has the others, which the files have no logits for."""
    golden = Golden(shared, "mart").outputs
    label, positive = jt.array(np.array([3], np.int32)), polarity(VIDEO_EMOTION_8)
    total = sum(pcce(jt.array(golden[name]), label, positive) for name in ("a_c", "v_c"))
    assert_close(total.numpy().reshape(-1), golden["loss_cls_c"].reshape(-1), HEAD)
