"""oneDNN operators for Jittor on the CPU, compiled once into the cache.

Activations are channels-last, [N, spatial..., C]. The operators have no gradients of
their own: ``layers.trained`` and ``layers.matmul`` make them of one another, and ``layers.paths``
decides when they are used.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jack_stream.errors import MissingDependencyError
from jack_stream.runtime import device, find_onednn, jittor, onednn_folder, quiet_compilation

__all__ = ["operators", "usable"]

_SOURCES = Path(__file__).parent / "src"


def usable() -> bool:
    """Whether the operators can run here: on the CPU, with the oneDNN that runtime linked."""
    jittor()
    return device() == "cpu" and (onednn_folder() / "lib" / "libmkldnn.so").exists()


@cache
def operators() -> Any:
    """The compiled operators. Compiles on the first call of a new version; Jittor keeps the rest.

    Jittor's cache key is the command (compiler, flags, paths) and the text of every source; the
    version of oneDNN is named among the flags, so that a new one compiles anew.

    Raises:
        MissingDependencyError: they do not compile on this machine.
    """
    jt = jittor()
    folder = onednn_folder().resolve()
    flags = (
        f'-I"{folder}/include" -L"{folder}/lib" -lmkldnn -O3 -ffast-math -fopenmp '
        f"-DONEDNN_PACKAGE={find_onednn().version}"
    )
    files = sorted(str(file) for file in _SOURCES.iterdir() if file.suffix in {".cc", ".h"})
    try:
        with quiet_compilation(), jt.flag_scope(use_cuda=0):
            module = jt.compile_custom_ops(
                files, extra_flags=f" {flags} ", return_module=True, gen_name_="jack_stream_ops"
            )
    except (RuntimeError, ImportError) as error:
        raise MissingDependencyError(
            f"The oneDNN operators do not compile here: {error}",
            hint="Run 'jack-stream doctor'; it says what is missing.",
        ) from error
    module.ops.weights_layout = module.weights_layout
    module.ops.sync_unlocked = module.sync_unlocked
    return module.ops
