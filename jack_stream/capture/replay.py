"""Replay: a recording through the same sockets, with the stamps that it was recorded with."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Sequence

from jack_stream.capture.recording import RecordingReader
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.config import RecordingSettings
from jack_stream.errors import WireError
from jack_stream.wire.codec import Part, decode
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import End, Frame, Message, Stamp
from jack_stream.wire.publisher import Publisher

__all__ = ["run"]

_SLICE_S = 0.2


def run(
    settings: RecordingSettings,
    publisher: Publisher,
    *,
    clock: TimeSource,
    stop: threading.Event,
    health: HealthReporter,
) -> None:
    """Publish a recording's messages unchanged, and its views, until its end or ``stop``.

    Who was still publishing when recording ended gets an ``end`` here: nothing follows.

    Topics, sequence numbers, times and sessions stay those of the recording; the publisher's own
    stream name is not used.

    Raises:
        SourceError: it is no recording, or can't be read.
    """
    with RecordingReader(settings.path) as recording:
        health.report("starting")
        publisher.unblock_on(stop)
        publisher.wait_for_receivers(stop)
        first_ns: int | None = None
        began_ns = clock.now_ns()
        counters = {"messages": 0, "incomplete": 0}
        open_: dict[str, Stamp] = {}
        for message in recording:
            if first_ns is None:
                first_ns = message.arrived_at_ns
            if settings.pace == "realtime":
                _wait_until(began_ns + message.arrived_at_ns - first_ns, clock, stop)
            known = _decoded(message.parts)
            if isinstance(known, Frame):
                publisher.send_views(known)
            if stop.is_set() or not publisher.send_parts(message.parts):
                break
            _note(open_, known)
            counters["messages"] += 1
            health.report("running", counters)
        else:
            _end(open_, publisher, nothing_came=counters["messages"] == 0)
        counters["incomplete"] = int(recording.complete is False)
        detail = "the recording is damaged or cut short" if counters["incomplete"] else ""
        health.report("stopped", counters, detail=detail)


def _decoded(parts: Sequence[Part]) -> Message | None:
    with contextlib.suppress(WireError):  # receivers count and drop what is malformed
        return decode(parts)
    return None


def _note(open_: dict[str, Stamp], message: Message | None) -> None:
    """Keep the newest stamp of each session that has not ended."""
    if isinstance(message, End):
        open_.pop(message.stamp.session, None)
    elif message is not None:
        open_[message.stamp.session] = message.stamp


def _end(open_: dict[str, Stamp], publisher: Publisher, *, nothing_came: bool) -> None:
    reason = "the recording ends here"
    for stamp in open_.values():
        publisher.send(End(dataclasses.replace(stamp, seq=0), reason))
    if nothing_came:
        publisher.end(reason)


def _wait_until(at_ns: int, clock: TimeSource, stop: threading.Event) -> None:
    while not stop.is_set():
        left_ns = at_ns - clock.now_ns()
        if left_ns <= 0:
            return
        stop.wait(min(left_ns / NS_PER_S, _SLICE_S))
