"""The whole state of a training run in one file, so that it goes on to the same numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jack_stream.errors import SourceError
from jack_stream.models.layers import get_weights, set_weights
from jack_stream.runtime import jittor
from trainers.parallel import is_first

__all__ = ["load_checkpoint", "save_checkpoint"]

jt = jittor()

_WEIGHTS, _OPTIMIZER = "weights/", "optimizer/"


def save_checkpoint(path: Path, module: Any, optimizer: Any, state: Mapping[str, Any]) -> None:
    """Write weights, the optimizer's moments and ``state`` (JSON), whole or not at all.

    Of several processes that train together the first writes, for their numbers are the same.
    """
    if not is_first():
        return
    arrays = {_WEIGHTS + name: value for name, value in get_weights(module).items()}
    arrays |= {_OPTIMIZER + name: var.numpy() for name, var in _moments(optimizer)}
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    whole = {**state, "n_step": optimizer.n_step}
    partial = path.with_suffix(".partial")
    save_file(arrays, partial, metadata={"state": json.dumps(whole)})
    partial.replace(path)


def load_checkpoint(path: Path, module: Any, optimizer: Any | None) -> dict[str, Any]:
    """Put a checkpoint's values into the module and the optimizer and return its state.

    Raises:
        SourceError: the file can't be read or is another network's.
    """
    try:
        with safe_open(path, "numpy") as stored:
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            state: dict[str, Any] = json.loads(stored.metadata()["state"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path}: can't be read as a checkpoint: {error}") from error
    set_weights(module, _below(_WEIGHTS, arrays))
    if optimizer is not None:
        kept = _below(_OPTIMIZER, arrays)
        for name, var in _moments(optimizer):
            if name not in kept or kept[name].shape != tuple(var.shape):
                raise SourceError(f"{path}: was made with another optimizer: no {name}")
            var.update(jt.array(kept[name]))
        optimizer.n_step = state["n_step"]
    return state


def _below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _moments(optimizer: Any) -> Iterator[tuple[str, Any]]:
    """Everything that an optimizer remembers of the gradients, by name."""
    for g, group in enumerate(optimizer.param_groups):
        for key, held in group.items():
            if isinstance(held, list) and key not in ("params", "grads"):
                yield from ((f"{g}/{key}/{i}", var) for i, var in enumerate(held))
