"""Weights in and out of modules under the authors' names, with every mismatch named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import BundleError
from jack_stream.models.layers.folding import forget
from jack_stream.runtime import jittor

__all__ = ["get_weights", "set_weights"]

jt = jittor()

# PyTorch counts the batches that a BatchNorm has seen; no computation here depends on it.
_IGNORED = "num_batches_tracked"
_LISTED = 12


def get_weights(module: Any) -> dict[str, npt.NDArray[Any]]:
    """Copies of a module's parameters and buffers under the authors' (PyTorch) names."""
    return {name: variable.numpy() for name, variable in module.state_dict().items()}


def set_weights(
    module: Any,
    weights: Mapping[str, npt.NDArray[Any]],
    *,
    allow_missing: Collection[str] = (),
    allow_unexpected: Collection[str] = (),
) -> None:
    """Give a module its weights. Nothing is changed unless all of them fit.

    Args:
        module: any Jittor module.
        weights: arrays of floating point under the authors' names; ``num_batches_tracked`` entries
            are ignored.
        allow_missing: patterns (``*`` matches anything) of names that may keep their values.
        allow_unexpected: patterns of names that may be there in vain.

    Raises:
        BundleError: names are missing or unexpected, or shapes or types do not fit.
    """
    expected = module.state_dict()
    given = {name: value for name, value in weights.items() if not name.endswith(_IGNORED)}
    problems = [
        *_listed("missing", _unmatched(expected.keys() - given.keys(), allow_missing)),
        *_listed("unexpected", _unmatched(given.keys() - expected.keys(), allow_unexpected)),
        *_listed("misfit", _misfits(expected, given)),
    ]
    if problems:
        raise BundleError(f"The weights do not fit {type(module).__name__}: " + "; ".join(problems))
    for name, variable in expected.items():
        if name in given:
            variable.update(jt.array(np.ascontiguousarray(given[name], np.float32)))
    # Jittor can't compile a kernel into which an array of one element is fused, unless it is there.
    jt.sync(list(expected.values()))
    for part in module.modules():
        forget(part)


def _unmatched(names: Iterable[str], patterns: Collection[str]) -> list[str]:
    return sorted(n for n in names if not any(fnmatchcase(n, pattern) for pattern in patterns))


def _misfits(expected: Mapping[str, Any], given: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    found = []
    for name in sorted(expected.keys() & given.keys()):
        wanted, value = tuple(expected[name].shape), np.asarray(given[name])
        if value.shape != wanted:
            found.append(f"{name} is {list(value.shape)}, expected {list(wanted)}")
        elif value.dtype.kind != "f":
            found.append(f"{name} is {value.dtype}, expected floating point")
    return found


def _listed(what: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    more = f" and {len(entries) - _LISTED} more" if len(entries) > _LISTED else ""
    return [f"{len(entries)} {what} ({', '.join(entries[:_LISTED])}{more})"]
