"""Where compiled kernels live: one folder per user, never inside the user's home itself."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

__all__ = ["cache_folder", "exclusive"]


def cache_folder() -> Path:
    """The folder that everything which can be made again is kept in.

    ``JACK_STREAM_CACHE`` names it; else it is systemd's ``CACHE_DIRECTORY`` (the first, where the
    unit declares several), else the user's cache directory.
    """
    if named := os.environ.get("JACK_STREAM_CACHE"):
        return Path(named).expanduser().absolute()
    if given := os.environ.get("CACHE_DIRECTORY", "").split(":")[0]:
        return Path(given)
    return Path(platformdirs.user_cache_dir("jack-stream"))


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes: the first one compiles, the others wait.

    The lock is a record lock, which belongs to this process alone: a child that outlives it does
    not keep it, as it would keep one of flock. It does not exclude threads, nor may it be nested.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "compiling.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield
