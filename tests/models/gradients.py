"""Gradients against the golden files, which hold each one's norm and six of its values.

The limits are wider than the 1e-4 of outputs, which most gradients meet: where rounding decides on
which side of zero a ReLU's input lies, a gradient jumps. Against float64 the golden ones of
VAANet's audio stream are off by up to 1e-2 at single values themselves, and ours by as much.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jack_stream.runtime import jittor

_NORM, _VALUE = 1e-3, 1e-2

# Gradients that are zero but for rounding, such as those of a bias in front of a batch-norm.
_NOTHING = 1e-4

# A gradient that is a small difference of large terms has their rounding: a share of the largest.
_ROUNDING = 1e-8


def assert_gradients(module: Any, loss: Any, golden: Mapping[str, Mapping[str, Any]]) -> None:
    """Fail unless the gradients of a loss are the golden ones, parameter by parameter."""
    parameters = {k: v for k, v in module.state_dict().items() if k in golden}
    assert parameters.keys() == golden.keys()
    found = jittor().grad(loss, list(parameters.values()))
    rounding = _ROUNDING * max(entry["norm"] for entry in golden.values())
    for name, variable in zip(parameters, found, strict=True):
        gradient, entry = variable.numpy().astype(np.float64), golden[name]
        norm = np.linalg.norm(gradient)
        if entry["norm"] < _NOTHING:
            assert norm < _NOTHING, f"{name}: {norm:.3g} where there is no gradient"
            continue
        limit = _NORM * entry["norm"] + rounding
        assert abs(norm - entry["norm"]) <= limit, f"{name}: {norm:.6g}, not {entry['norm']:.6g}"
        values = np.asarray(entry["values"])
        off = np.abs(gradient.reshape(-1)[entry["at"]] - values).max()
        largest = max(np.abs(values).max(), entry["norm"] / np.sqrt(gradient.size))
        assert off <= _VALUE * largest + rounding, f"{name}: a value is off by {off / largest:.3g}"
