"""One system per folder of sockets: binding an ipc socket takes it away from whoever had it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jack_stream.errors import ConfigError

__all__ = ["owner", "sole_owner"]


def owner(folder: Path) -> int | None:
    """The number of the process that owns a folder, None if nobody does."""
    try:
        file = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.read(file, 32).decode(errors="replace").strip()
        return int(number) if number.isdecimal() else None
    else:
        return None
    finally:
        os.close(file)


@contextmanager
def sole_owner(folder: Path) -> Iterator[None]:
    """Own a folder until the block is left; the kernel releases it if the process dies.

    Raises:
        ConfigError: another process owns it, or it can't be made.
    """
    path = folder / "lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be made: {error.strerror}",
            hint="Set runtime.directory to a folder that you may write to.",
        ) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(file, 32).decode(errors="replace").strip() or "?"
            raise ConfigError(
                f"{folder}: another jack-stream (process {owner}) has its sockets here",
                hint="End it, or set another runtime.directory and other events endpoints.",
            ) from error
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(file)
