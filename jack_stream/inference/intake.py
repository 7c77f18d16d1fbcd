"""Messages in, complete windows out: a thread of its own beside the model's."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from jack_stream.clock import TimeSource
from jack_stream.inference import tracing
from jack_stream.inference.analyzer import Analyzer
from jack_stream.inference.pace import Pace
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.window.assembler import WindowAssembler
from jack_stream.window.spec import WindowSpec, phase_of
from jack_stream.wire.messages import End, Frame, Health, Message
from jack_stream.wire.receiver import Receiver
from jack_stream.wire.tally import labelled

__all__ = ["Intake"]

_SLICE_S = 0.1
_MAX_SESSIONS = 4096
_DRAINED_S = 1.0
"""When nothing came for so long, what a source sent before it went is here."""


class Intake:
    """Sorts messages into the windows of each stream's analyzers.

    Args:
        receiver: where messages come from.
        analyzers: stream -> who looks at it.
        publishers: stream -> how many capture processes feed it.
        queue: where complete windows go.
        clock: says when a window became complete.
        over: streams of which nothing more will come, besides those that end; may grow.
        pace: says which windows are skipped; none if absent.

    Attributes:
        finished: set when every stream has ended and all their windows are in the queue.
    """

    def __init__(
        self,
        receiver: Receiver,
        analyzers: Mapping[str, Sequence[Analyzer]],
        publishers: Mapping[str, int],
        queue: WindowQueue,
        clock: TimeSource,
        *,
        over: Collection[str] = (),
        pace: Pace | None = None,
    ) -> None:
        self.finished = threading.Event()
        self._receiver = receiver
        self._queue = queue
        self._clock = clock
        self._over = over
        self._pace = pace
        self._publishers = dict(publishers)
        self._ended: defaultdict[str, set[str]] = defaultdict(set)
        self._seen: defaultdict[str, set[str]] = defaultdict(set)
        self._unknown = 0
        self._lanes = {
            stream: [
                (a, WindowAssembler(stream, _phased(a.spec, stream), shrink=a.shrink))
                for a in found
            ]
            for stream, found in analyzers.items()
        }

    def run(self, stop: threading.Event) -> None:
        """Sort messages until all streams have ended or ``stop`` is set."""
        quiet_s = 0.0
        while not stop.is_set() and not self.finished.is_set():
            message = self._receiver.get(_SLICE_S)
            quiet_s = 0.0 if message is not None else quiet_s + _SLICE_S
            if quiet_s > _DRAINED_S and self._over:
                self._finish_if_over()
            if message is None or isinstance(message, Health):
                continue
            stream = message.stamp.stream
            if stream not in self._lanes:
                self._unknown += 1
                continue
            for analyzer, assembler in self._lanes_of(message):
                assembler.add(message)
                for window in assembler.ready():
                    job = Job(window, analyzer, self._clock.now_ns())
                    if self._pace is None or self._pace.wants(job):
                        with tracing.ready(job):
                            self._queue.put(job, stop)
            if isinstance(message, End):
                self._note_end(message)
            elif len(self._seen[stream]) < _MAX_SESSIONS:
                self._seen[stream].add(message.stamp.session)

    def is_past(self, time_ns: int) -> bool:
        """Whether all windows that start before a moment are in the queue or were given out."""
        lanes = (assembler for found in self._lanes.values() for _, assembler in found)
        return all(assembler.next_start_ns >= time_ns for assembler in lanes)

    def counters(self) -> dict[str, int]:
        """Samples and windows over all streams, and windows by lane, for health messages."""
        total: Counter[str] = Counter(unknown_stream=self._unknown)
        for stream, lanes in self._lanes.items():
            for analyzer, assembler in lanes:
                total.update(assembler.counters)
                for name in ("windows", "windows_degraded"):
                    key = labelled(name, stream, analyzer.model.method)
                    total[key] += assembler.counters[name]
        return dict(total)

    def _lanes_of(self, message: Message) -> Iterator[tuple[Analyzer, WindowAssembler]]:
        """The stream's lanes, without those that look at another view of its pictures."""
        view = message.view if isinstance(message, Frame) else ""
        for analyzer, assembler in self._lanes[message.stamp.stream]:
            if view in ("", analyzer.view):
                yield analyzer, assembler

    def _note_end(self, end: End) -> None:
        """A recording has the sessions of several processes behind one publisher."""
        if len(self._ended[end.stamp.stream]) < _MAX_SESSIONS:
            self._ended[end.stamp.stream].add(end.stamp.session)
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        if all(
            stream in self._over
            or (len(self._ended[stream]) >= count and self._seen[stream] <= self._ended[stream])
            for stream, count in self._publishers.items()
        ):
            self.finished.set()


def _phased(spec: WindowSpec, stream: str) -> WindowSpec:
    return replace(spec, phase_ns=phase_of(stream, spec.hop_ns))
