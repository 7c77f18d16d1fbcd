"""Several processes that train one model, started by Open MPI's ``mpirun``.

Jittor averages their gradients and hands everyone the first one's weights; here each takes its
share of the batches, and only the first writes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

from jack_stream.errors import MissingDependencyError
from jack_stream.runtime import in_mpi, jittor

__all__ = ["is_first", "share", "world"]

jt = jittor()
BatchT = TypeVar("BatchT")

_OTHER_LAUNCHER = "PMI_SIZE"
"""What MPICH and its kin say to the processes that they start."""


def world() -> tuple[int, int]:
    """This process's number, from 0, and how many train together.

    Raises:
        MissingDependencyError: several processes were started, but they can't speak to each other.
    """
    if in_mpi():
        if not jt.in_mpi or jt.world_size != int(os.environ["OMPI_COMM_WORLD_SIZE"]):
            raise MissingDependencyError(
                "mpirun started several processes, but Jittor was built without MPI",
                hint="Install openmpi-bin and libopenmpi-dev: Jittor needs mpicc.",
            )
        return int(jt.rank), int(jt.world_size)
    if os.environ.get(_OTHER_LAUNCHER, "1") != "1":
        raise MissingDependencyError(
            f"several processes were started, but not by Open MPI ({_OTHER_LAUNCHER} is set)",
            hint="Start them with Open MPI's mpirun; Jittor knows no other launcher.",
        )
    return 0, 1


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return world()[0] == 0


def share(batches: Sequence[BatchT]) -> Sequence[BatchT]:
    """This process's batches: every one takes as many, and what is left over is left out."""
    rank, size = world()
    return batches[: len(batches) // size * size][rank::size]
