"""What this process did when: spans in a bounded ring, written when the process ends.

Off unless :func:`recording` is entered; then each function here costs one look at a variable.
:mod:`jack_stream.service.traces` joins the processes' parts into one file (docs/profiling.md).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
import structlog

from jack_stream.clock import Clock

if TYPE_CHECKING:  # the wire is traced itself
    from jack_stream.wire.messages import Message, Stamp

__all__ = [
    "LIMIT",
    "Part",
    "Span",
    "add",
    "instant",
    "is_on",
    "life",
    "message",
    "now_ns",
    "recording",
    "sample",
    "span",
]

LIMIT = 200_000
"""Spans of a whole trace, each some 500 bytes of memory and 200 of the file."""
_LIVES = 2
"""Parts that are kept of a process that was started again and again."""
_log = structlog.get_logger()

Value: TypeAlias = int | float | str | list[str]
Stage: TypeAlias = tuple[str, int, int]


class Span(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Something that took time, or happened at a moment.

    Attributes:
        phase: ``X`` for work of one thread, ``i`` for a moment in one, ``b`` for what overlaps
            others of its kind, as windows do.
        name: what it is.
        category: message, window, batch, model or process.
        start_ns: when it began, on the process's time line.
        end_ns: when it ended.
        thread: the number of the thread.
        args: what else is known of it.
        id: tells things of phase ``b`` apart.
        stages: name, start and end of what such a thing went through, in order.
    """

    phase: Literal["X", "i", "b"]
    name: str
    category: str
    start_ns: int
    end_ns: int
    thread: int
    args: dict[str, Value]
    id: str = ""
    stages: Sequence[Stage] = ()


class Part(msgspec.Struct):
    """What one process recorded.

    Attributes:
        process: its name, such as ``camera.door``.
        pid: its number.
        offset_ns: what its time line is ahead of the machine's monotonic clock, which is the
            same for all processes.
        dropped: older spans for which there was no room.
        threads: the names of its threads by number.
        spans: in the order in which they ended.
    """

    process: str
    pid: int
    offset_ns: int
    dropped: int
    threads: dict[int, str]
    spans: list[Span]


class _Recorder:
    """A ring of spans. Appending to it is atomic: no thread waits for another."""

    def __init__(self, process: str, clock: Clock, limit: int) -> None:
        self.clock = clock
        self._process = process
        self._ring: deque[Span] = deque(maxlen=limit)
        self._numbers = itertools.count()
        self._threads: dict[int, str] = {}

    def add(self, span: Span) -> None:
        if span.thread not in self._threads:
            self._threads[span.thread] = threading.current_thread().name
        self._ring.append(span)
        next(self._numbers)

    def part(self) -> Part:
        spans = list(self._ring)
        dropped = next(self._numbers) - len(spans)
        offset_ns = self.clock.offset_ns
        return Part(self._process, os.getpid(), offset_ns, dropped, self._threads, spans)


_recorder: _Recorder | None = None


@contextlib.contextmanager
def recording(
    folder: Path | None, process: str, clock: Clock, limit: int = LIMIT
) -> Iterator[None]:
    """Record what this process does, and write it when the block is left, however it is left.

    Args:
        folder: where the part is written; None records nothing.
        process: the process's name.
        clock: the process's time line.
        limit: the newest spans that are kept.
    """
    global _recorder  # noqa: PLW0603 - one per process, as the hot path must find it at once
    if folder is None:
        yield
        return
    before, recorder = _recorder, _Recorder(process, clock, limit)
    _recorder = recorder
    try:
        yield
    finally:
        _recorder = before
        _write(folder, recorder.part())


def is_on() -> bool:
    """Whether this process records."""
    return _recorder is not None


def now_ns() -> int:
    """The time on this process's line; 0 where nothing is recorded."""
    return 0 if _recorder is None else _recorder.clock.now_ns()


def add(category: str, name: str, start_ns: int, end_ns: int, **args: Value) -> None:
    """Record work of this thread that began and ended at these times of the process's line."""
    if _recorder is not None and start_ns:
        thread = threading.get_native_id()
        _recorder.add(Span("X", name, category, start_ns, max(start_ns, end_ns), thread, args))


@contextlib.contextmanager
def _spanning(category: str, name: str, args: dict[str, Value]) -> Iterator[None]:
    start_ns = now_ns()
    try:
        yield
    finally:
        add(category, name, start_ns, now_ns(), **args)


_NOTHING = contextlib.nullcontext()


def span(category: str, name: str, **args: Value) -> AbstractContextManager[None]:
    """Record the work of a ``with`` block."""
    return _NOTHING if _recorder is None else _spanning(category, name, args)


def instant(category: str, name: str, **args: Value) -> None:
    """Record that something happens now."""
    if _recorder is not None:
        at_ns, thread = _recorder.clock.now_ns(), threading.get_native_id()
        _recorder.add(Span("i", name, category, at_ns, at_ns, thread, args))


def life(category: str, name: str, key: str, stages: Sequence[Stage], **args: Value) -> None:
    """Record something that overlaps others of its kind.

    Args:
        category: what kind of thing it is.
        name: those of one name are drawn together.
        key: tells it from others in the process.
        stages: what it went through, each beginning where the one before ended.
        args: what else is known of it.
    """
    if _recorder is not None:
        start_ns, end_ns = stages[0][1], stages[-1][2]
        thread = threading.get_native_id()
        _recorder.add(Span("b", name, category, start_ns, end_ns, thread, args, key, stages))


def message(verb: str, said: Message, began_ns: int) -> None:
    """Record that a message was sent or received, which began at :func:`now_ns`."""
    if _recorder is not None:
        name = f"{verb} {type(said).__name__.lower()}"
        stamp = said.stamp
        args: dict[str, Value] = {"seq": stamp.seq, "sample": sample(stamp)}
        add("message", name, began_ns, now_ns(), **args)


def sample(stamp: Stamp) -> str:
    """The same for a picture and the poses in it, in all processes that they go through."""
    return f"{stamp.stream} {stamp.captured_at_ns}"


def _write(folder: Path, part: Part) -> None:
    path = folder / f"{part.process}.{part.pid}.json"
    try:
        # A process that dies again and again must not fill the disk.
        name, there = part.process, folder.glob("*.json")
        lives = [one for one in there if one.stem.rpartition(".")[0] == name]
        for old in sorted(lives, key=lambda one: one.stat().st_mtime)[: 1 - _LIVES]:
            old.unlink(missing_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(part))
        new.replace(path)
    except OSError as error:
        _log.error("the trace of this process was not kept", cause=str(error))
