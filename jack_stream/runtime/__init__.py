"""Makes Jittor ready on this machine: compiler, oneDNN, CUDA, threads and the compile cache.

    from jack_stream.runtime import jittor
    jt = jittor()

Nothing else in this package imports Jittor. Importing this module does not either, so that
``report()`` can say what is missing on a machine where Jittor can't start.
"""

from __future__ import annotations

from jack_stream.runtime.cache import cache_folder
from jack_stream.runtime.checks import Finding, find_onednn, has_bfloat16, report
from jack_stream.runtime.importing import (
    device,
    in_mpi,
    jittor,
    onednn_folder,
    prepare,
    quiet_compilation,
    threads,
)

__all__ = [
    "Finding",
    "cache_folder",
    "device",
    "find_onednn",
    "has_bfloat16",
    "in_mpi",
    "jittor",
    "onednn_folder",
    "prepare",
    "quiet_compilation",
    "report",
    "threads",
]
