import numpy as np
import pytest

from jack_stream.errors import UsageError
from jack_stream.runtime import jittor
from trainers.losses.class_weights import class_weights, weighted_mean

pytestmark = pytest.mark.jittor
jt = jittor()


def test_balanced_classes_have_the_same_say() -> None:
    counts = np.array([30, 10, 20])
    weights = class_weights("balanced", counts)
    assert weights is not None
    np.testing.assert_allclose(weights * counts, [20, 20, 20], rtol=1e-6)


def test_no_weights_is_the_plain_mean() -> None:
    assert class_weights("none", [1, 0]) is None
    losses = jt.array(np.array([1.0, 2.0, 6.0], np.float32))
    assert weighted_mean(losses, jt.array([0, 1, 1]), None).item() == pytest.approx(3.0)


def test_a_class_without_samples_can_not_be_weighed() -> None:
    with pytest.raises(UsageError, match=r"class 1 of 3 has no training sample"):
        class_weights("balanced", [4, 0, 2])


@pytest.mark.parametrize("soft", [False, True])
def test_the_mean_is_that_of_pytorchs_weighted_cross_entropy(*, soft: bool) -> None:
    losses = np.array([1.0, 2.0, 6.0], np.float32)
    labels = np.array([0, 1, 1], np.int32)
    weights = np.array([3.0, 0.5], np.float32)
    targets = jt.array(np.eye(2, dtype=np.float32)[labels] if soft else labels)
    found = weighted_mean(jt.array(losses), targets, weights).item()
    assert found == pytest.approx((3 * 1 + 0.5 * 2 + 0.5 * 6) / (3 + 0.5 + 0.5))
