import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import UsageError
from jack_stream.models.labels import EKMAN_6, VIDEO_EMOTION_8
from jack_stream.runtime import jittor
from tests.models.golden import HEAD, assert_close
from trainers.losses.cross_entropy import cross_entropy
from trainers.losses.erasing import erasing_loss
from trainers.losses.pcce import pcce, polarity

pytestmark = pytest.mark.jittor
jt = jittor()


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "golden/pcce.npz"))


@pytest.mark.parametrize("penalty", ["0.0", "0.5", "1.0", "2.0"])
def test_pcce_and_its_gradient_are_the_authors(penalty: str, golden: dict[str, np.ndarray]) -> None:
    logits, labels = jt.array(golden["logits"]), jt.array(golden["labels"])
    loss = pcce(logits, labels, polarity(VIDEO_EMOTION_8), penalty=float(penalty))
    assert_close(loss.numpy().reshape(()), golden[f"loss_{penalty}"], HEAD)
    assert_close(jt.grad(loss, logits).numpy(), golden[f"loss_g{penalty}"], HEAD)


def test_the_weight_meets_the_sample_it_belongs_to(
    golden: dict[str, np.ndarray], shared: Path
) -> None:
    wrong = json.loads((shared / "golden/pcce.json").read_text())[
        "bug_signature (mean-reduced CE times mean weight)"
    ]
    logits, labels = jt.array(golden["logits"]), jt.array(golden["labels"])
    loss = pcce(logits, labels, polarity(VIDEO_EMOTION_8), penalty=0.5).item()
    assert abs(loss - wrong["0.5"]) > 0.4


def test_polarities_of_the_data_sets() -> None:
    np.testing.assert_array_equal(polarity(VIDEO_EMOTION_8), [0, 1, 0, 0, 1, 0, 1, 1])
    np.testing.assert_array_equal(polarity(EKMAN_6), [0, 0, 0, 1, 0, 1])
    with pytest.raises(UsageError, match="'neutral'"):
        polarity(["joy", "neutral"])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pcce_of_other_seeds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = (3 * rng.standard_normal((7, 6))).astype(np.float32)
    labels = rng.integers(0, 6, 7).astype(np.int32)
    of_class = polarity(EKMAN_6)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    each = -log_p[np.arange(7), labels]
    weights = 1 + 0.5 * (of_class[logits.argmax(1)] != of_class[labels])
    loss = pcce(jt.array(logits), jt.array(labels), of_class)
    assert_close(loss.numpy().reshape(()), (weights * each).mean(), HEAD)


def test_large_logits_do_not_overflow() -> None:
    logits = jt.array(np.array([[1e4, 0.0], [0.0, 1e4]], np.float32))
    each = cross_entropy(logits, jt.array([0, 0])).numpy()
    np.testing.assert_allclose(each, [0.0, 1e4])


def test_the_three_views_of_an_erased_video_count_alike() -> None:
    rng = np.random.default_rng(5)
    views = tuple(jt.array(rng.standard_normal((4, 8)).astype(np.float32)) for _ in range(3))
    labels = jt.array(np.array([1, 0, 7, 3], np.int32))
    single = [cross_entropy(view, labels).mean().item() for view in views]
    assert erasing_loss(views, labels).item() == pytest.approx(sum(single) / 3, rel=1e-5)
    paper = erasing_loss(views, labels, variant="paper")
    assert paper.item() == pytest.approx(sum(single), rel=1e-5)
    for gradient in jt.grad(paper, list(views)):
        assert np.abs(gradient.numpy()).max() > 0


def test_another_criterion_may_judge_the_views() -> None:
    views = tuple(jt.array(np.eye(3, dtype=np.float32)) for _ in range(3))
    labels = jt.array(np.array([0, 1, 2], np.int32))
    assert erasing_loss(views, labels, criterion=lambda x, _: x.sum()).item() == pytest.approx(3.0)
