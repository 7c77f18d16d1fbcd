"""`jack-stream` as a process of its own, and a folder for its sockets."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

START_S = 240.0
"""Until a first result, where kernels may have to be compiled first."""


class Command:
    """A running `jack-stream` whose output goes to files, so that it never waits for a reader."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.name = f"jack-stream {' '.join(words)}"
        self._out = folder / f"{words[0]}-out.txt"
        self._err = folder / f"{words[0]}-err.txt"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jack_stream", *words],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder,
                env=os.environ | {"XDG_STATE_HOME": str(folder / "state")},
            )  # fmt: skip

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._out.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """What it has logged so far."""
        return self._err.read_text(encoding="utf-8")

    def wait(self, timeout_s: float = START_S) -> int:
        """Its exit code; fails with its log if it does not end in time."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} goes on after {timeout_s} s:\n{self.err}") from None

    def succeed(self, timeout_s: float = START_S) -> None:
        """Wait for its end; fails with its log if that is no good one."""
        code = self.wait(timeout_s)
        assert code == 0, f"{self.name} ended with {code}:\n{self.err}"


@contextlib.contextmanager
def started(folder: Path, *words: str) -> Iterator[Command]:
    """Run a command; it is ended, if need be, when the block is left."""
    command = Command(folder, *words)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.process.send_signal(signal.SIGTERM)
            try:
                command.process.wait(20)
            except subprocess.TimeoutExpired:
                command.process.kill()
                command.process.wait()


@contextlib.contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder with a short name: the path of a Unix socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="jack-", dir="/tmp") as folder:
        yield Path(folder)
