"""Making Jittor ready: what is found, what is missing, and what is left untouched."""

from __future__ import annotations

import importlib.metadata
import json
import os
import select
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from jack_stream import runtime
from jack_stream.errors import MissingDependencyError, UsageError
from jack_stream.runtime import cache, checks, importing, kernels


def finding(name: str) -> runtime.Finding:
    return next(found for found in runtime.report() if found.name == name)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_report_finds_everything_here_without_importing_jittor() -> None:
    done = run_python(
        "import sys; from jack_stream import runtime\n"
        "print([f.name for f in runtime.report() if f.required and not f.ok])\n"
        "print('jittor' in sys.modules)"
    )
    assert done.stdout.split("\n")[:2] == ["[]", "False"], done.stderr


def test_a_missing_compiler_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("cc_path", raising=False)
    missing = finding("C++ compiler")
    assert not missing.ok
    assert missing.required
    assert "apt-get install g++" in missing.advice
    with pytest.raises(MissingDependencyError, match=r"g\+\+"):
        checks.find_compiler()


def test_a_compiler_that_does_not_run_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("cc_path", str(broken))
    assert "does not run" in finding("C++ compiler").found


def test_missing_headers_name_the_package_of_this_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}-dev"
    assert version in finding("Python headers").advice


def test_a_missing_onednn_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    missing = finding("oneDNN")
    assert not missing.ok
    assert "pip install onednn-cpu-gomp" in missing.advice


def test_an_nvcc_without_libraries_is_no_cuda(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\necho 'nvcc: NVIDIA (R) Cuda compiler driver'\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("nvcc_path", str(nvcc))
    monkeypatch.setattr(checks, "_cuda_devices", lambda: 1)
    found = checks.cuda()
    assert not found.ok
    assert not found.required
    assert "no lib" in found.found


def test_without_a_driver_cuda_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_cuda_devices", lambda: 0)
    with pytest.raises(MissingDependencyError, match="no NVIDIA driver"):
        importing._choose_device("cuda")
    assert importing._choose_device("auto") == ""


def test_the_cache_folder_comes_from_us_then_systemd_then_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JACK_STREAM_CACHE", "/one")
    monkeypatch.setenv("CACHE_DIRECTORY", "/two:/three")
    assert runtime.cache_folder() == Path("/one")
    monkeypatch.delenv("JACK_STREAM_CACHE")
    assert runtime.cache_folder() == Path("/two")
    monkeypatch.delenv("CACHE_DIRECTORY")
    monkeypatch.setenv("XDG_CACHE_HOME", "/four")
    assert runtime.cache_folder() == Path("/four/jack-stream")


def test_a_full_disk_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_CACHE_BYTES", 1 << 62)
    full = finding("Compile cache")
    assert not full.ok
    assert "JACK_STREAM_CACHE" in full.advice


def test_the_cache_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from jack_stream.runtime import cache\n"
        "print('ready', flush=True)\n"
        "with cache.exclusive(Path(sys.argv[1])): print('held', flush=True)"
    )
    with cache.exclusive(tmp_path):
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.3)
    assert other.communicate(timeout=30)[0] == "held\n"


def test_a_compiling_process_ends_with_its_parent() -> None:
    code = (
        "import multiprocessing, os, signal; from jack_stream.runtime import compiling\n"
        "start = compiling.dying_with(os.getpid(), lambda: None)\n"
        "pool = multiprocessing.get_context('fork').Pool(1, start)\n"
        "print(pool.apply(os.getpid), flush=True)\n"
        "signal.pause()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    ended, _, _ = select.select([child], [], [], 30)
    os.close(child)
    assert ended


def test_compiling_processes_end_by_sigterm_although_their_parent_handles_it() -> None:
    code = (
        "import multiprocessing, os, select, signal; from jack_stream.runtime import compiling\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "start = compiling.dying_with(os.getpid(), lambda: None)\n"
        "pool = multiprocessing.get_context('fork').Pool(1, start)\n"
        "child = pool.apply(os.getpid)\n"
        "ended = os.pidfd_open(child)\n"
        "os.kill(child, signal.SIGTERM)\n"
        "print(bool(select.select([ended], [], [], 10)[0]), flush=True)\n"
        "os._exit(0)"
    )
    assert run_python(code).stdout == "True\n"


def test_who_waits_for_a_compiling_process_that_was_killed_ends_and_says_so() -> None:
    code = (
        "import os, signal; from jack_stream.runtime import compiling\n"
        "pool = compiling.watched_pool(2, lambda: None)\n"
        "signal.alarm(60)\n"
        "pool.apply(os.abort)"
    )
    ended = run_python(code)
    assert ended.returncode == 69
    assert "was killed (is there too little memory?)" in ended.stderr


def test_a_pool_that_is_ended_ends_nobody_else() -> None:
    code = (
        "import os; from jack_stream.runtime import compiling\n"
        "with compiling.watched_pool(2, lambda: None) as pool: print(pool.apply(abs, (-3,)))\n"
        "pool.join(); print('well')"
    )
    assert run_python(code).stdout == "3\nwell\n"


def test_only_a_kernel_whose_assembly_is_to_be_changed_goes_through_jittors_program(
    tmp_path: Path,
) -> None:
    compiler, tuner = tmp_path / "my g++", tmp_path / "asm_tuner.py"
    compiler.write_text('#!/bin/sh\necho "$@"\n')
    compiler.chmod(0o755)
    tuner.write_text("import os, sys\nprint('tuned', os.environ['cc_path'], *sys.argv[1:])\n")
    plain, marked = tmp_path / "plain.cc", tmp_path / "marked.cc"
    plain.write_text("int x;\n")
    marked.write_text('//@begin replace "vmova" "vmovnt"\n')
    python = kernels.write_kernel_python(tmp_path, compiler)

    def compiled(kernel: Path) -> str:
        command: list[str | Path] = [
            python,
            tuner,
            f"--cc_path={compiler}",
            kernel,
            "-I a b",
            "-o",
            "k.so",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert compiled(plain) == f"{plain} -I a b -o k.so\n"
    assert compiled(marked) == f"tuned {compiler} --cc_path={compiler} {marked} -I a b -o k.so\n"


def headers(folder: Path) -> SimpleNamespace:
    flags = SimpleNamespace(cc_flags='-std=c++14 -shared -l"core" -I"some where"')
    return SimpleNamespace(
        flags=flags, compiler=SimpleNamespace(cache_path=str(folder / "built here"))
    )


def test_headers_are_compiled_again_for_another_compiler_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JACK_STREAM_CACHE", str(tmp_path))
    (tmp_path / "built here").mkdir()
    compiler, calls = tmp_path / "g++", tmp_path / "calls"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\nfor file; do :; done\n: > "$file"\n')
    compiler.chmod(0o755)
    header = tmp_path / "built here" / "kernel.h"
    for _ in range(2):
        jt = headers(tmp_path)
        kernels.precompile_headers(jt, compiler)
        assert shlex.split(jt.flags.cc_flags)[-2:] == ["-include", str(header)]
    assert header.with_name("kernel.h.gch").is_file()
    (call,) = calls.read_text().splitlines()
    assert call.startswith(f"-x c++-header {header} -std=c++14 -Isome where -o ")
    os.utime(compiler, (1, 1))
    kernels.precompile_headers(headers(tmp_path), compiler)
    assert len(calls.read_text().splitlines()) == 2


def test_what_the_compiler_says_of_the_headers_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JACK_STREAM_CACHE", str(tmp_path))
    (tmp_path / "built here").mkdir()
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    compiler.chmod(0o755)
    for _ in range(2):
        with pytest.raises(MissingDependencyError, match="no space left"):
            kernels.precompile_headers(headers(tmp_path), compiler)


@pytest.mark.jittor
def test_a_kernel_is_compiled_with_the_headers_that_were_read_before() -> None:
    jt = runtime.jittor()
    compiler, flags = str(checks.find_compiler()), shlex.split(jt.flags.cc_flags)
    compiled = [flag for flag in flags if not flag.startswith(("-l", "-shared"))]
    command = [compiler, *compiled, "-fsyntax-only", "-H", "-Winvalid-pch", "-x", "c++", "-"]
    done = subprocess.run(command, input="int x;", capture_output=True, text=True, check=True)
    assert done.stderr.startswith("! ")
    assert "kernel.h.gch" in done.stderr


@pytest.mark.jittor
def test_kernels_are_compiled_without_threads() -> None:
    # With two, Jittor crashed in one of twelve processes that compiled products of one matrix. It
    # makes a single one nevertheless, which it gives nothing to do.
    code = """
import os
from jack_stream.runtime import jittor
jt = jittor()
before = len(os.listdir("/proc/self/task"))
print(jt.fetch_sync([
    jt.code([1], "float32", cpu_src=f"/* UNIQUE */ @out(0) = {n};") for n in (5, 6)
]))
print(len(os.listdir("/proc/self/task")) - before)
"""
    code = code.replace("UNIQUE", str(time.time_ns()))
    done = run_python(code, OMP_NUM_THREADS="1")
    assert done.stdout == "[array([5.], dtype=float32), array([6.], dtype=float32)]\n1\n"


@pytest.mark.jittor
def test_making_jittor_ready_leaves_the_process_and_the_home_as_they_were(tmp_path: Path) -> None:
    code = """
import json, os, signal, ssl, sys, urllib.request
before = dict(os.environ), sys.getrecursionlimit()
def network(*_, **__): raise AssertionError("went to the network")
urllib.request.urlretrieve = network
from jack_stream.runtime import jittor
jt = jittor()
kept = open("/proc/self/status").read()
caught = int(kept.split("SigCgt:")[1].split()[0], 16)
print(json.dumps({
    "environment": dict(os.environ) == before[0],
    "recursion": sys.getrecursionlimit() == before[1],
    "verified": ssl._create_default_https_context is ssl.create_default_context,
    "child": bool(caught >> (signal.SIGCHLD - 1) & 1),
    "compiled": jt.code([1], "float32", cpu_src="/* UNIQUE */ @out(0) = 5;").item(),
}))
"""
    # A kernel that no cache can have: compiling must leave no trace either.
    code = code.replace("UNIQUE", str(time.time_ns()))
    done = run_python(code, HOME=str(tmp_path), JACK_STREAM_CACHE=str(runtime.cache_folder()))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "environment": True,
        "recursion": True,
        "verified": True,
        "child": False,
        "compiled": 5.0,
    }
    assert not list(tmp_path.iterdir())


@pytest.mark.jittor
def test_threads_that_start_together_get_one_jittor() -> None:
    found = []
    starters = [threading.Thread(target=lambda: found.append(runtime.jittor())) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert len(found) == 4
    assert all(module is sys.modules["jittor"] for module in found)


@pytest.mark.jittor
def test_threads_can_be_changed_and_must_be_positive() -> None:
    runtime.jittor()
    before = runtime.threads()
    assert before >= 1
    runtime.prepare(threads=1)
    assert runtime.threads() == 1
    runtime.prepare(threads=before)
    with pytest.raises(UsageError, match="at least one"):
        runtime.prepare(threads=0)


@pytest.mark.jittor
def test_jittor_stays_on_the_device_it_started_on() -> None:
    runtime.jittor()
    other = "cuda" if runtime.device() == "cpu" else "cpu"
    with pytest.raises(UsageError, match="can't move"):
        runtime.prepare(device=other)  # type: ignore[arg-type]
