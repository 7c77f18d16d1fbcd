"""The one place that imports Jittor, and puts back what the import would leave changed."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import ssl
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from jack_stream.errors import MissingDependencyError, UsageError
from jack_stream.runtime.cache import cache_folder, exclusive
from jack_stream.runtime.checks import OneDNN, cuda, find_compiler, find_headers, find_onednn
from jack_stream.runtime.compiling import end_compilers, keep_compilers_in_order
from jack_stream.runtime.kernels import (
    precompile_headers,
    write_kernel_python,
    write_python_config,
)

__all__ = ["device", "jittor", "onednn_folder", "prepare", "quiet_compilation", "threads"]

Device = Literal["cpu", "cuda"]

# Jittor looks here for the oneDNN that it would otherwise download (compile_extern.py).
_ONEDNN_FOLDER = ".cache/jittor/mkl/dnnl_lnx_2.2.0_cpu_gomp"

# How long threads spin for the next piece of work before they sleep. libgomp's own 300,000 ruins a
# core that is shared: BPM-GCN took 932 ms (90th percentile) beside other processes and 27 ms with
# this, at the same speed on idle cores. OMP_WAIT_POLICY or GOMP_SPINCOUNT override it.
_SPIN_COUNT = "1000"

# Jittor's handlers end the whole process with a stack dump, a child's death included.
_SIGNALS = (
    signal.SIGINT,
    signal.SIGCHLD,
    signal.SIGQUIT,
    signal.SIGSEGV,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGBUS,
)
_SIGACTION_BYTES = 512  # more than struct sigaction of any libc

_lock = threading.RLock()
_module: ModuleType | None = None
_device: Device = "cpu"
_threads = 0


def jittor() -> Any:
    """The Jittor module, made ready on the first call (which compiles where the cache is cold).

    Raises:
        MissingDependencyError: the machine lacks something that Jittor needs.
    """
    if _module is None:
        prepare()
    return _module


def prepare(*, threads: int | None = None, device: Literal["auto", "cpu", "cuda"] = "auto") -> None:
    """Make Jittor ready. May be called again: the threads change, the device stays.

    Args:
        threads: how many CPU threads the models use. Default: ``OMP_NUM_THREADS``, else the cores
            that this process may run on.
        device: ``auto`` takes CUDA where it is really usable.

    Raises:
        MissingDependencyError: the machine lacks something that Jittor needs.
        UsageError: the number of threads is not positive, or the device can't change any more.
    """
    global _module, _device, _threads  # noqa: PLW0603 - one Jittor per process
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}, but at least one is needed.")
    with _lock:
        if _module is None:
            found = _choose_device(device)
            _threads = threads or _default_threads()
            _module = _import(found)
            _device = "cuda" if found else "cpu"
        elif device not in ("auto", _device):
            raise UsageError(f"Jittor already runs on {_device}; it can't move to {device}.")
        _threads = threads or _threads
        _set_threads(_threads)


def device() -> Device:
    """Where the models run: ``cpu`` or ``cuda``."""
    return _device


def threads() -> int:
    """How many CPU threads the models use; 0 before Jittor is ready."""
    return _threads


def in_mpi() -> bool:
    """Whether Open MPI's ``mpirun`` started this process: one of several that train together."""
    return "OMPI_COMM_WORLD_SIZE" in os.environ


def onednn_folder() -> Path:
    """The folder with oneDNN's ``include`` and ``lib`` (``libmkldnn.so``), as Jittor wants it."""
    return _jittor_home() / _ONEDNN_FOLDER


@contextmanager
def quiet_compilation() -> Iterator[None]:
    """Compile further operators: no other process does so meanwhile, and no compiler stays."""
    with exclusive(cache_folder()):
        try:
            yield
        finally:
            end_compilers()


def _choose_device(wanted: str) -> str:
    """The path of nvcc where CUDA is to be used, else nothing."""
    if wanted == "cpu":
        return ""
    finding = cuda()
    if finding.ok:
        return finding.found
    if wanted == "cuda":
        raise MissingDependencyError(f"CUDA is not usable: {finding.found}.", hint=finding.advice)
    return ""


def _default_threads() -> int:
    named = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(named) if named.isdigit() and int(named) > 0 else len(os.sched_getaffinity(0))


def _set_threads(count: int) -> None:
    # libgomp keeps the number per calling thread; the environment speaks for threads made later.
    ctypes.CDLL("libgomp.so.1").omp_set_num_threads(count)


def _jittor_home() -> Path:
    return cache_folder() / "jittor"


def _import(nvcc: str) -> ModuleType:
    """Import Jittor with its own home, no network, no chatter and nothing else changed."""
    compiler, headers, onednn = find_compiler(), find_headers(), find_onednn()
    home = _jittor_home()
    with ExitStack() as stack:
        alone = stack.enter_context(ExitStack())
        alone.enter_context(exclusive(cache_folder()))
        _link_onednn(home / _ONEDNN_FOLDER, onednn)
        kernel_python = write_kernel_python(home, compiler)
        settings = {
            "cc_path": str(compiler),
            "nvcc_path": nvcc,
            "gdb_path": "",
            "python_config_path": str(write_python_config(home, headers)),
            "cache_name": "default",  # else the name of the git branch that is checked out
            "log_silent": "1",
            "use_mkl": "1",
            "use_mpi": "1" if in_mpi() else "0",
            # Several threads would add nodes to one graph without a lock, and crash now and then.
            "use_parallel_op_compiler": "1",
            "OMP_NUM_THREADS": str(_threads),
        }
        if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
            settings["GOMP_SPINCOUNT"] = _SPIN_COUNT
        stack.enter_context(_environment(**settings))
        stack.enter_context(_process_state_kept())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        # Jittor's kernels flush denormals to zero; NumPy would warn of it when it first looks at a
        # type afterwards, in whatever part of the program that is.
        for kind in (np.float32, np.float64):
            np.finfo(kind)
        if in_mpi():  # such processes wait for each other in the import; Jittor's own lock must do
            alone.close()
        _import_with_home(home)
        module = importlib.import_module("jittor")
        end_compilers()
    module.flags.python_path = str(kernel_python)
    module.flags.use_cuda = 1 if nvcc else 0
    precompile_headers(module, compiler)
    return module


def _import_with_home(home: Path) -> None:
    """Import jittor_utils, which fixes Jittor's home for good, while HOME points there.

    Naming it by JITTOR_HOME instead would write that into the user's real home.
    """
    with _environment(HOME=str(home), JITTOR_HOME=None):
        utils: Any = importlib.import_module("jittor_utils")
    # One compiler per 3 GiB of memory would be far more than there are cores.
    total, cores = utils.get_total_mem(), len(os.sched_getaffinity(0))
    utils.get_total_mem = lambda: min(total, cores * 3 * 2**30)
    keep_compilers_in_order(utils)


def _link_onednn(folder: Path, onednn: OneDNN) -> None:
    """Put oneDNN where Jittor looks before it downloads; caller holds the cache."""
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    links = {
        folder / "include": onednn.include,
        folder / "lib" / "libmkldnn.so": onednn.library,
        folder / "lib" / "libdnnl.so.2": onednn.library,
    }
    for link, target in links.items():
        if link.is_symlink() and link.readlink() == target:
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(target)


@contextmanager
def _environment(**variables: str | None) -> Iterator[None]:
    """Set environment variables for a while; None unsets."""
    before = {name: os.environ.get(name) for name in variables}
    _set_environment(variables)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _process_state_kept() -> Iterator[None]:
    """Put back signal handlers, TLS verification and the recursion limit, which Jittor changes."""
    libc = ctypes.CDLL(None)
    handlers = {number: ctypes.create_string_buffer(_SIGACTION_BYTES) for number in _SIGNALS}
    for number, handler in handlers.items():
        libc.sigaction(int(number), None, handler)
    https_context = ssl._create_default_https_context  # noqa: SLF001 - Jittor turns verification off
    recursion_limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            libc.sigaction(int(number), handler, None)
        ssl._create_default_https_context = https_context  # noqa: SLF001
        sys.setrecursionlimit(recursion_limit)
