"""What Jittor needs from the machine, one check per thing, each answered in a plain sentence."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jack_stream.errors import MissingDependencyError
from jack_stream.runtime.cache import cache_folder

__all__ = [
    "Finding",
    "OneDNN",
    "cuda",
    "find_compiler",
    "find_headers",
    "find_onednn",
    "has_bfloat16",
    "report",
]

# Jittor's core, its oneDNN operators and the kernels of all methods take about this much.
_CACHE_BYTES = 600 * 2**20

_ONEDNN_PACKAGES = "onednn-cpu-gomp==2022.2.1 onednn-devel-cpu-gomp==2022.2.1"


@dataclass(frozen=True)
class Finding:
    """One thing that the machine has or lacks.

    Attributes:
        name: what was looked for.
        ok: whether it is there and usable.
        found: what was found (a path, a version), or what is wrong.
        advice: what to do about it; empty where nothing needs doing.
        required: whether models can't run at all without it.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""
    required: bool = True


@dataclass(frozen=True)
class OneDNN:
    """Where the PyPI packages put oneDNN's headers and its shared library."""

    include: Path
    library: Path
    version: str


def _first_line(command: list[str]) -> str:
    """The first line that a program prints, or nothing where it can't be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0] if done.returncode == 0 else ""


def find_compiler() -> Path:
    """The C++ compiler (g++, or the one that ``cc_path`` names).

    Raises:
        MissingDependencyError: there is none, or it can't compile C++.
    """
    named = os.environ.get("cc_path", "")  # noqa: SIM112 - Jittor's own name for it
    compiler = shutil.which(named or "g++")
    advice = "Install it: apt-get install g++ (Debian, Ubuntu), or dnf install gcc-c++ (Fedora)."
    if compiler is None:
        raise MissingDependencyError(
            f"The C++ compiler {named or 'g++'}, which builds Jittor's kernels, was not found.",
            hint=advice,
        )
    if not _first_line([compiler, "--version"]):
        raise MissingDependencyError(f"The C++ compiler {compiler} does not run.", hint=advice)
    return Path(compiler)


def find_headers() -> Path:
    """The folder of this Python's C headers.

    Raises:
        MissingDependencyError: Python.h is not there.
    """
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-dev"
        raise MissingDependencyError(
            f"Python's C headers were not found: {include / 'Python.h'} does not exist.",
            hint=f"Install them: apt-get install {package} (or python3-dev).",
        )
    return include


def _installed_file(package: str, name: str) -> Path:
    for file in importlib.metadata.files(package) or ():
        if file.name == name:
            return Path(os.path.normpath(str(file.locate())))
    raise FileNotFoundError(name)


def find_onednn() -> OneDNN:
    """The oneDNN library of the PyPI packages, wherever pip put it.

    Raises:
        MissingDependencyError: the packages are not installed, or their files are gone.
    """
    try:
        library = _installed_file("onednn-cpu-gomp", "libdnnl.so.2")
        header = _installed_file("onednn-devel-cpu-gomp", "dnnl.hpp")
        version = importlib.metadata.version("onednn-cpu-gomp")
    except (importlib.metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise MissingDependencyError(
            f"oneDNN, which Jittor calculates with on the CPU, is not installed ({error}).",
            hint=f"Install it: pip install {_ONEDNN_PACKAGES}",
        ) from error
    if not (library.is_file() and header.is_file()):
        raise MissingDependencyError(
            f"oneDNN is damaged: {library if header.is_file() else header} does not exist.",
            hint=f"Install it again: pip install --force-reinstall {_ONEDNN_PACKAGES}",
        )
    return OneDNN(header.parent, library, version)


def _cuda_devices() -> int:
    """How many devices the driver reports; 0 where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _missing_cuda_library(nvcc: Path) -> str:
    """The first library that Jittor would load beside this nvcc and not find, or nothing."""
    home = nvcc.resolve().parent.parent
    system = Path(f"/usr/lib/{platform.machine()}-linux-gnu")
    target = home / "targets" / f"{platform.machine()}-linux" / "lib"
    places = [home / "bin", home / "lib64", target, system, Path("/usr/lib")]
    names = ("cudart", "cublas", "curand", "cufft", "cusparse", "cudnn", "cudnn_ops_infer")
    for name in names:
        if not any(any(place.glob(f"lib{name}.so*")) for place in places):
            return f"lib{name}.so"
    return ""


def cuda() -> Finding:
    """Whether CUDA is really usable. What is ok has the path of nvcc in ``found``."""

    def lacking(found: str, advice: str) -> Finding:
        return Finding("CUDA", ok=False, found=found, advice=advice, required=False)

    if _cuda_devices() == 0:
        return lacking("no NVIDIA driver with a device", "Models run on the CPU.")
    named = os.environ.get("nvcc_path", "")  # noqa: SIM112 - Jittor's own name for it
    nvcc = shutil.which(named or "nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    if nvcc is None or not _first_line([nvcc, "--version"]):
        return lacking(
            "a device, but no nvcc that runs",
            "Models run on the CPU. Install the CUDA toolkit (11 or 12) to use the device.",
        )
    if missing := _missing_cuda_library(Path(nvcc)):
        return lacking(
            f"a device and {nvcc}, but no {missing}",
            "Models run on the CPU. Install the CUDA libraries and cuDNN 8 to use the device.",
        )
    return Finding("CUDA", ok=True, found=nvcc, required=False)


def _check_compiler() -> Finding:
    compiler = find_compiler()
    return Finding("C++ compiler", ok=True, found=_first_line([str(compiler), "--version"]))


def _check_headers() -> Finding:
    return Finding("Python headers", ok=True, found=str(find_headers()))


def _check_onednn() -> Finding:
    onednn = find_onednn()
    return Finding("oneDNN", ok=True, found=f"{onednn.version} ({onednn.library})")


def _check_jittor() -> Finding:
    try:
        version = importlib.metadata.version("jittor")
    except importlib.metadata.PackageNotFoundError:
        raise MissingDependencyError(
            "Jittor is not installed.", hint="Install it: pip install 'jittor>=1.3.11,<1.4'"
        ) from None
    numpy = importlib.metadata.version("numpy")
    if int(numpy.split(".")[0]) >= 2:
        raise MissingDependencyError(
            f"NumPy {numpy} is installed; Jittor {version} works with NumPy 1 only.",
            hint="Install it: pip install 'numpy<2'",
        )
    return Finding("Jittor", ok=True, found=f"{version} with NumPy {numpy}")


def _check_cache() -> Finding:
    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise MissingDependencyError(
            f"The compile cache {folder} can't be written.",
            hint="Make it writable, or name another folder in JACK_STREAM_CACHE.",
        )
    if os.statvfs(existing).f_flag & os.ST_NOEXEC:
        raise MissingDependencyError(
            f"The compile cache {folder} is on a file system mounted noexec; kernels can't load.",
            hint="Name a folder on another file system in JACK_STREAM_CACHE.",
        )
    free = shutil.disk_usage(existing).free
    if free < _CACHE_BYTES:
        raise MissingDependencyError(
            f"The disk of the compile cache {folder} has only {free >> 20} MiB free.",
            hint=f"Free {_CACHE_BYTES >> 20} MiB, or name another folder in JACK_STREAM_CACHE.",
        )
    compiled = any(folder.glob("jittor/.cache/jittor/jt*/**/jittor_core*.so"))
    state = "Jittor's core is compiled" if compiled else "empty: the first start compiles (minutes)"
    return Finding("Compile cache", ok=True, found=f"{folder} ({state})")


def _processor_flags() -> set[str]:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return set()
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE)
    return set(flags.group(1).split()) if flags else set()


def has_bfloat16() -> bool:
    """Whether the processor calculates with bfloat16, and not only in place of it."""
    return "avx512_bf16" in _processor_flags()


def _check_processor() -> Finding:
    cores, words = len(os.sched_getaffinity(0)), _processor_flags()
    known = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "bfloat16", "amx_tile": "AMX"}
    features = ", ".join(label for flag, label in known.items() if flag in words)
    slow = "" if "avx2" in words else "Without AVX2 the networks run several times slower."
    found = f"{cores} cores; {features or 'no vector extensions that are used'}"
    return Finding("Processor", ok=True, found=found, advice=slow, required=False)


def _required(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except MissingDependencyError as error:
        return Finding(name, ok=False, found=str(error.args[0]), advice=error.hint)


def report() -> list[Finding]:
    """Everything that Jittor needs here, found or missing. Jittor itself is not imported."""
    return [
        _required("Jittor", _check_jittor),
        _required("C++ compiler", _check_compiler),
        _required("Python headers", _check_headers),
        _required("oneDNN", _check_onednn),
        _required("Compile cache", _check_cache),
        _check_processor(),
        cuda(),
    ]
