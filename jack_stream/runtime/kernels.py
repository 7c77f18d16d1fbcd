"""How Jittor's kernels are compiled: by which programs, and with headers that were read before."""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from jack_stream.errors import MissingDependencyError
from jack_stream.runtime.cache import cache_folder, exclusive

__all__ = ["precompile_headers", "write_kernel_python", "write_python_config"]

# What every kernel on the CPU begins with.
_HEADER = """\
#define JIT 1
#define JIT_cpu 1
#include <assert.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include "var.h"
#include "op.h"
#include "executor.h"
#include "fused_op.h"
#include "ops/op_register.h"
"""


def precompile_headers(jt: Any, compiler: Path) -> None:
    """Read the headers of all kernels once, and have each kernel compiled with what was read.

    A kernel takes 0.19 instead of 0.58 s then. Jittor's own way to be faster, several threads,
    makes it crash now and then.

    Raises:
        MissingDependencyError: the compiler does not take them.
    """
    header = Path(jt.compiler.cache_path) / "kernel.h"
    flags = [
        flag
        for flag in shlex.split(jt.flags.cc_flags)
        if not flag.startswith(("-l", "-L", "-shared"))  # nothing is linked yet
    ]
    # The compiler takes what this very compiler made with these very flags, and nothing else.
    key = f"{compiler.resolve()} {compiler.stat().st_mtime_ns} {flags}\n{_HEADER}"
    made_by, compiled = header.with_suffix(".key"), header.with_suffix(".h.gch")
    with exclusive(cache_folder()):
        there = all(file.is_file() for file in (header, compiled, made_by))
        if not there or made_by.read_text() != key:
            made_by.unlink(missing_ok=True)
            header.write_text(_HEADER)
            _compile_header(compiler, flags, header, compiled)
            made_by.write_text(key)
    jt.flags.cc_flags = f'{jt.flags.cc_flags} -include "{header}" '


def _compile_header(compiler: Path, flags: list[str], header: Path, compiled: Path) -> None:
    new = compiled.with_suffix(".new")
    command = [str(compiler), "-x", "c++-header", str(header), *flags, "-o", str(new)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise MissingDependencyError(
            f"The C++ compiler {compiler} can't compile Jittor's headers: {done.stderr.strip()}",
            hint="Run 'jack-stream doctor'; it says what is missing.",
        )
    new.replace(compiled)


def write_python_config(home: Path, headers: Path) -> Path:
    """A python-config for this very Python; a virtual environment has none beside its python."""
    return _write_script(
        home / f"python{sys.version_info.major}.{sys.version_info.minor}-config",
        'case "$1" in\n'
        f"--includes) echo '-I\"{headers}\"' ;;\n"
        f"--extension-suffix) echo '{sysconfig.get_config_var('EXT_SUFFIX')}' ;;\n"
        "esac\n",
    )


def write_kernel_python(home: Path, compiler: Path) -> Path:
    """The Python through which kernels are compiled later, a program that wants the same home.

    Jittor compiles a kernel in two steps, with a Python program between them that changes the
    assembly where the source has a line with @begin. Few have one; the others are given straight
    to the compiler, which takes a third less time.
    """
    settings = (f"HOME={home}", "cache_name=default", "log_silent=1", f"cc_path={compiler}")
    quoted = " ".join(shlex.quote(setting) for setting in settings)
    return _write_script(
        home / "python",
        'case "$1" in */asm_tuner.py)\n'
        'if ! grep -q @begin "$3"; then\n'
        'compiler="${2#--cc_path=}"\n'
        "shift 2\n"
        'exec "$compiler" "$@"\n'
        "fi\n"
        "esac\n"
        f'exec env -u JITTOR_HOME {quoted} {shlex.quote(sys.executable)} "$@"\n',
    )


def _write_script(path: Path, body: str) -> Path:
    text = f"#!/bin/sh\n{body}"
    if not path.is_file() or path.read_text() != text:
        new = path.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o755)
        new.replace(path)  # at once: another process may be running it
    return path
