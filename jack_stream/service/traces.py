"""Joins what the processes of a run recorded into one file for Perfetto and chrome://tracing.

The format is Google's "Trace Event Format", its JSON object form.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import structlog

from jack_stream import trace
from jack_stream.clock import Clock
from jack_stream.config import Config
from jack_stream.errors import ConfigError
from jack_stream.trace import Part, Span

__all__ = ["STARTED", "collected", "joined"]

STARTED = "process started"
"""What the supervisor records of each process, so that a missing part is noticed."""
_Event: TypeAlias = dict[str, Any]
_log = structlog.get_logger()


@contextlib.contextmanager
def collected(config: Config) -> Iterator[None]:
    """Record this process, and join its part with the others' when the block is left.

    Raises:
        ConfigError: the trace can't be written there.
    """
    path, folder = config.runtime.trace, config.trace_parts
    if path is None or folder is None:
        yield
        return
    clock = Clock()
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"runtime.trace: {path} can't be written: {error.strerror}",
            hint="Name a file in a folder that you may write to.",
        ) from error
    try:
        with trace.recording(folder, "supervisor", clock):
            yield
    finally:
        _join(folder, path, clock)


def joined(parts: list[Part], offset_ns: int) -> _Event:
    """One trace of all parts, on the time line that is this far ahead of the monotonic clock.

    Times count from the first thing that was recorded as work; what is older, such as the capture
    of a sample long ago, is put there.

    Args:
        parts: one per life of a process.
        offset_ns: of :class:`jack_stream.clock.Clock`.
    """
    shifts = {id(part): offset_ns - part.offset_ns for part in parts}
    work = [s.start_ns + shifts[id(p)] for p in parts for s in p.spans if s.phase != "b"]
    began_ns = min(work, default=0)
    events: list[_Event] = []
    for part in parts:
        for span in part.spans:
            events += _events(span, part.pid, shifts[id(part)] - began_ns)
    events += _missing(parts, shifts, began_ns)
    events += _arrows(events)
    events.sort(key=lambda event: event["ts"])
    return {
        "traceEvents": [*_names([part for part in parts if part.spans]), *events],
        "displayTimeUnit": "ms",
        "otherData": {
            "began_at_ns": str(began_ns),
            "dropped": {f"{part.process} ({part.pid})": part.dropped for part in parts},
        },
    }


def _join(folder: Path, path: Path, clock: Clock) -> None:
    try:
        parts = [
            msgspec.json.decode(one.read_bytes(), type=Part)
            for one in sorted(folder.glob("*.json"))
        ]
        whole = joined(parts, clock.offset_ns)
        path.write_bytes(msgspec.json.encode(whole))
        shutil.rmtree(folder)
    except OSError as error:
        _log.error("the trace was not written", cause=str(error), parts=str(folder))
    else:
        dropped = sum(part.dropped for part in parts)
        events = len(whole["traceEvents"])
        _log.info("the trace is written", file=str(path), events=events, dropped=dropped)


def _names(parts: list[Part]) -> Iterator[_Event]:
    for place, part in enumerate(parts):
        about = {
            "process_name": {"name": part.process},
            "process_sort_index": {"sort_index": place},
        }
        for name, args in about.items():
            yield {"ph": "M", "ts": 0, "name": name, "pid": part.pid, "tid": 0, "args": args}
        for thread, name in part.threads.items():
            yield {"ph": "M", "ts": 0, "name": "thread_name", "pid": part.pid, "tid": thread,
                   "args": {"name": name}}  # fmt: skip


def _events(span: Span, pid: int, shift_ns: int) -> Iterator[_Event]:
    about: _Event = {"cat": span.category, "pid": pid, "tid": span.thread}
    start_us, end_us = _us(span.start_ns + shift_ns), _us(span.end_ns + shift_ns)
    event = {"ph": span.phase, "ts": start_us, "name": span.name, **about, "args": span.args}
    if span.phase == "X":
        yield event | {"dur": (span.end_ns - span.start_ns) / 1000}
    elif span.phase == "i":
        yield event | {"s": "t"}
    else:
        about["id2"] = {"local": span.id}
        yield event | about
        for name, began_ns, ended_ns in span.stages:
            yield {"ph": "b", "ts": _us(began_ns + shift_ns), "name": name, **about}
            yield {"ph": "e", "ts": _us(ended_ns + shift_ns), "name": name, **about}
        yield {"ph": "e", "ts": end_us, "name": span.name, **about}


def _us(after_ns: int) -> float:
    return max(0, after_ns) / 1000


def _missing(parts: list[Part], shifts: dict[int, int], began_ns: int) -> Iterator[_Event]:
    """A mark where a process began that left no part, because it was killed or crashed."""
    there = {part.pid for part in parts}
    for part in parts:
        for span in part.spans:
            if span.name == STARTED and span.args["number"] not in there:
                name = f"no trace of {span.args['process']} ({span.args['number']}): it was killed"
                at_us = _us(span.start_ns + shifts[id(part)] - began_ns)
                yield {"ph": "i", "s": "g", "ts": at_us, "name": name, "cat": "process",
                       "pid": part.pid, "tid": span.thread, "args": {}}  # fmt: skip


def _arrows(events: list[_Event]) -> list[_Event]:
    """From where a sample was sent, through the window that it completed, to its events."""
    sent: defaultdict[str, list[_Event]] = defaultdict(list)
    published: dict[str, _Event] = {}
    for event in events:
        if event["ph"] == "X" and event["name"].startswith("send "):
            sent[event["args"]["sample"]].append(event)
        elif event["ph"] == "X" and event["name"] == "publish events":
            published[event["args"]["window"]] = event
    arrows: list[_Event] = []
    for event in events:
        if event["ph"] == "X" and "window" in event["args"] and "sample" in event["args"]:
            last = published.get(event["args"]["window"])
            chain = [*sent[event["args"]["sample"]], event, *([last] if last else [])]
            if len(chain) > 1:
                chain.sort(key=lambda one: one["ts"])
                arrows += _flow(chain, event["args"]["window"])
    return arrows


def _flow(chain: list[_Event], name: str) -> Iterator[_Event]:
    phases = ["s", *["t"] * (len(chain) - 2), "f"]
    for phase, at in zip(phases, chain, strict=True):
        yield {"ph": phase, "bp": "e", "id": name, "name": "newest sample", "cat": "flow",
               "ts": at["ts"], "pid": at["pid"], "tid": at["tid"]}  # fmt: skip
