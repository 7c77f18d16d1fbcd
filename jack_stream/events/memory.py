"""What the rules remember over a restart: a small file beside the journal."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from jack_stream.events.rules import State
from jack_stream.events.schema import Alert

__all__ = ["Job", "Memory", "recall", "remember"]

_log = structlog.get_logger()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One action for one alert."""

    alert: Alert
    action: Literal["command", "webhook"]


class Memory(msgspec.Struct, kw_only=True):
    """Where the rules stand; written before an alert is sent.

    Attributes:
        v: version of this file.
        session: a random name; the journal takes each number of a session once.
        position: everything up to there was judged; None before a journal was heard of.
        state: how the rules stand then.
        first: number of the first alert in ``outbox``.
        outbox: alerts that the journal has not confirmed.
        jobs: actions that are not done.
    """

    v: Literal[1] = 1
    session: str = msgspec.field(default_factory=lambda: secrets.token_hex(4))
    position: str | None = None
    state: State = msgspec.field(default_factory=State)
    first: int = 0
    outbox: list[Alert] = []
    jobs: list[Job] = []


_decode = msgspec.json.Decoder(Memory).decode


def recall(path: Path) -> Memory:
    """What was remembered; an empty memory where there is none, or none that can be read."""
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return Memory()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.error("the rules' memory can't be read; they begin anew", file=path, cause=str(error))
        return Memory()


def remember(path: Path, memory: Memory) -> None:
    """Write a memory down, whole or not at all; it is on the disk then.

    Raises:
        OSError: it can't be written.
    """
    new = path.with_name(f"{path.name}.new")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with open(new, "wb", opener=_private) as file:
            file.write(msgspec.json.encode(memory))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
