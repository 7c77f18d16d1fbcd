"""Lets Python's other threads run while a network computes.

Jittor keeps Python's global lock for a whole run of a network. Within :func:`unlocked` it is given
up for that time. Jittor has no locks of its own, so two things must hold, and do:

- One thread alone uses Jittor: :func:`fetch` refuses any other.
- No other thread drops a Var. Only that thread holds Vars, and those in cycles, which Python's
  collector drops in whatever thread it happens to run, are left to :func:`collect`: automatic
  collection is off.

What runs without the lock is Jittor's executor and kernels. They use nothing of Python where no
gradients are wanted, but parts of a graph that was made for gradients end in Python: such a graph
is computed with the lock held.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jack_stream.models.ops import operators, usable
from jack_stream.runtime import jittor

__all__ = ["collect", "fetch", "unlocked"]

Var = Any

_owner: int | None = None


def fetch(values: Sequence[Var]) -> list[NDArray[np.float32]]:
    """Compute Vars, and return what is in them.

    Args:
        values: they must have been made under ``no_grad`` if this is called under it.

    Raises:
        RuntimeError: another thread is the one that may use Jittor.
    """
    jt = jittor()
    if _owner is not None:
        if threading.get_ident() != _owner:
            raise RuntimeError("a network was run in a thread other than the one that runs them")
        if jt.flags.no_grad:
            operators().sync_unlocked(list(values))
    arrays: list[NDArray[np.float32]] = jt.fetch_sync(list(values))
    return arrays


@contextmanager
def unlocked() -> Iterator[None]:
    """From now on this thread alone uses Jittor, and others run while it computes.

    What is there now is not looked at by the garbage collector again until the end. On CUDA, where
    the device computes while Python goes on, nothing is changed.
    """
    global _owner  # noqa: PLW0603 - Jittor is one per process, and so is who may use it
    if not usable():
        yield
        return
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    _owner = threading.get_ident()
    try:
        yield
    finally:
        _owner = None
        gc.unfreeze()
        if was_on:
            gc.enable()


def collect() -> None:
    """Collect garbage, if it is time to, where automatic collection is off."""
    if gc.isenabled():
        return
    counts, limits = gc.get_count(), gc.get_threshold()
    for generation in (2, 1, 0):
        if counts[generation] > limits[generation]:
            gc.collect(generation)
            return
