"""Recording: what publishers send, to a file, only when asked and never without bound."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from jack_stream.capture.recording import RecordingWriter
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.wire.messages import End, Kind
from jack_stream.wire.policy import Policy
from jack_stream.wire.receiver import Receiver

__all__ = ["RECORDED_KINDS", "RecordLimits", "RecordSummary", "record"]

RECORDED_KINDS: tuple[Kind, ...] = ("frame", "audio", "pose", "end")
_POLL_S = 0.1
_SAY_AFTER_S = 3.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """When recording ends by itself.

    Attributes:
        max_bytes: size of the file; one message more at the most.
        max_s: seconds from the first message on.
        until_end: whether it ends once every publisher that was heard has ended its stream.
    """

    max_bytes: int = 4 * 2**30
    max_s: float = 3600.0
    until_end: bool = True


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What was recorded.

    Attributes:
        messages: how many.
        bytes_written: size of the file.
        counters: the receiver's: what came, was used, was dropped and why.
        reason: why recording ended.
    """

    messages: int
    bytes_written: int
    counters: dict[str, int]
    reason: str


def record(
    endpoints: Iterable[str],
    path: Path,
    *,
    clock: TimeSource,
    stop: threading.Event,
    kinds: Iterable[Kind] = RECORDED_KINDS,
    policy: Policy = Policy.LIVE,
    awaited: bool = True,
    limits: RecordLimits | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> RecordSummary:
    """Write all messages of some publishers to a file until stopped or a limit is reached.

    Args:
        endpoints: the publishers' addresses.
        path: the file, readable by its owner only.
        clock: tells when messages arrive.
        stop: ends recording when set.
        kinds: which messages.
        policy: ``live`` drops (and counts) what the disk is too slow for; ``lossless`` makes
            lossless publishers wait instead.
        awaited: whether the publishers count this among the receivers that they wait for.
        limits: when to end.
        overwrite: whether an existing file may be replaced.
        progress: told the messages and bytes after each message.

    Raises:
        UsageError: the file exists.
        SourceError: it can't be written.
    """
    bounds = limits or RecordLimits()
    with (
        RecordingWriter(path, started_at_ns=clock.now_ns(), overwrite=overwrite) as writer,
        Receiver(endpoints, set(kinds), policy=policy, awaited=awaited) as receiver,
    ):
        reason = _record(
            receiver, writer, bounds, clock=clock, stop=stop, progress=progress or _silent
        )
        counters = receiver.counters()
    return RecordSummary(writer.messages, writer.bytes_written, counters, reason)


def _record(
    receiver: Receiver,
    writer: RecordingWriter,
    limits: RecordLimits,
    *,
    clock: TimeSource,
    stop: threading.Event,
    progress: Callable[[int, int], None],
) -> str:
    first_ns: int | None = None
    say_at_ns = clock.now_ns() + round(_SAY_AFTER_S * NS_PER_S)
    sources: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    while not stop.is_set():
        received = receiver.get_received(_POLL_S)
        now_ns = clock.now_ns()
        if first_ns is not None and now_ns - first_ns >= limits.max_s * NS_PER_S:
            return f"{limits.max_s:g} s are over"
        if received is None:
            if first_ns is None and now_ns >= say_at_ns:
                say_at_ns = now_ns + round(10 * _SAY_AFTER_S * NS_PER_S)
                _log.warning("nothing has come yet; is the system running?")
            continue
        first_ns = now_ns if first_ns is None else first_ns
        writer.write(now_ns, received.parts)
        progress(writer.messages, writer.bytes_written)
        source = (received.message.stamp.stream, received.message.stamp.session)
        sources.add(source)
        if isinstance(received.message, End):
            ended.add(source)
        if limits.until_end and ended == sources:
            return "all sources have ended"
        if writer.bytes_written >= limits.max_bytes:
            return f"{limits.max_bytes} bytes are written"
    return "stopped"


def _silent(messages: int, bytes_written: int) -> None:
    del messages, bytes_written
