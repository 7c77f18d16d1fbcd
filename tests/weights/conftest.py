"""A PyTorch in another interpreter that makes real checkpoints; it is no dependency of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

TorchRunner = Callable[..., str]


@pytest.fixture(scope="session")
def torch_run() -> TorchRunner:
    """Run a program in an interpreter that has PyTorch; skips where there is none.

    The environment variable JACK_TORCH_PYTHON names the interpreter; else this one is tried.
    """
    python = os.environ.get("JACK_TORCH_PYTHON", sys.executable)
    probe = subprocess.run([python, "-c", "import torch"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip("no PyTorch at hand; JACK_TORCH_PYTHON names an interpreter that has it")

    def run(program: str, *arguments: object) -> str:
        done = subprocess.run(
            [python, "-c", program, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
