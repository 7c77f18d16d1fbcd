import numpy as np
import pytest

from jack_stream.runtime import jittor
from trainers.adam import Adam

pytestmark = pytest.mark.jittor
jt = jittor()

# Of the size of eps, where the place of eps decides.
GRADIENTS = np.array([3.0, -1e-3, 1e-7, 0.0], np.float32)


def _reference(start: np.ndarray, steps: int, weight_decay: float) -> np.ndarray:
    """Kingma and Ba 2015, algorithm 1, with the L2 term in the gradient, in float64."""
    p, m, v = start.astype(np.float64), 0.0, 0.0
    for n in range(1, steps + 1):
        g = GRADIENTS + weight_decay * p
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p - 0.1 * (m / (1 - 0.9**n)) / (np.sqrt(v / (1 - 0.999**n)) + 1e-8)
    return p


@pytest.mark.parametrize("accumulated", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_steps_are_those_of_the_paper(weight_decay: float, accumulated: bool) -> None:
    start = np.array([1.0, -2.0, 0.5, 3.0], np.float32)
    parameter = jt.array(start)
    optimizer = Adam([parameter], lr=0.1, weight_decay=weight_decay)
    for steps in range(1, 6):
        loss = (parameter * jt.array(GRADIENTS)).sum()
        if accumulated:
            optimizer.backward(loss)
            optimizer.step()
        else:
            optimizer.step(loss)
        expected = _reference(start, steps, weight_decay)
        np.testing.assert_allclose(parameter.numpy(), expected, rtol=1e-5, atol=1e-6)
