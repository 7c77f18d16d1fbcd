"""Windows that wait for their model, fairly across streams and bounded."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from jack_stream import trace
from jack_stream.clock import NS_PER_S
from jack_stream.inference.analyzer import Analyzer
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window
from jack_stream.wire.policy import Policy
from jack_stream.wire.tally import labelled

__all__ = ["Job", "Waiting", "WindowQueue"]

_SLICE_S = 0.1
_Key = tuple[str, Analyzer]
"""Stream and who looks at it."""


class Job(NamedTuple):
    """A complete window and who is to look at it."""

    window: Window
    analyzer: Analyzer
    ready_at_ns: int

    @property
    def due_ns(self) -> int:
        """When its result is due: when the next window of the stream ends."""
        return self.window.end_ns + self.analyzer.spec.hop_ns


class Waiting(NamedTuple):
    """The model whose turn it is.

    Attributes:
        model: it.
        windows: how many wait for it, at least one.
        gap_s: usual time between two of its windows.
        alone: whether nothing waits for another model.
    """

    model: Model
    windows: int
    gap_s: float
    alone: bool


@dataclass(slots=True)
class _Lane:
    """The windows of one stream that one analyzer is to look at.

    Attributes:
        jobs: those that wait.
        turn: the round in which the first of them is served, at the earliest.
    """

    jobs: deque[Job] = field(default_factory=deque)
    turn: int = 0

    @property
    def place(self) -> tuple[int, int]:
        return self.turn, self.jobs[0].due_ns


@dataclass(slots=True)
class _Share:
    """A model's part of the machine.

    Attributes:
        lanes: whose windows it looks at.
        turn: the newest round in which any was served.
        used_s: machine time that it had, in seconds divided by its weight.
        gap_s: usual time between two windows.
        newest_ns: when the newest came.
    """

    lanes: dict[_Key, _Lane] = field(default_factory=dict)
    turn: int = 0
    used_s: float = 0.0
    gap_s: float = float("inf")
    newest_ns: int | None = None

    @property
    def busy(self) -> list[_Lane]:
        return [lane for lane in self.lanes.values() if lane.jobs]

    @property
    def place(self) -> tuple[float, int]:
        return self.used_s, min(lane.jobs[0].due_ns for lane in self.busy)

    def note_arrival(self, now_ns: int) -> None:
        if self.newest_ns is not None:
            gap_s = (now_ns - self.newest_ns) / NS_PER_S
            known = self.gap_s != float("inf")
            self.gap_s = self.gap_s + 0.2 * (gap_s - self.gap_s) if known else gap_s
        self.newest_ns = now_ns


class WindowQueue:
    """A queue per model, in which streams take turns, with at most ``limit`` waiting windows each.

    Windows are served in rounds, in which each stream is served once; within a round the window
    goes first whose result is due first. A live queue that is full sheds the oldest window of the
    same stream and analyzer, which keeps its turn: however fast a stream is, it neither pushes
    another's windows out nor loses its own turn to its newer ones. So a window that is served has
    waited for ``limit`` rounds at the most. A lossless queue makes the giver wait.

    Models share the machine by their weights: that one is served which had the least time for its
    weight. One that had nothing to do gains no claim by it.

    Args:
        policy: what happens when windows come faster than they are taken.
        limit: windows that wait at the most, per stream and analyzer.
        weights: method -> its weight, above 0; 1 for those that are absent.

    Attributes:
        shed: windows that were dropped, by stream.
    """

    def __init__(
        self, policy: Policy, limit: int = 2, weights: Mapping[str, float] | None = None
    ) -> None:
        self.shed: Counter[str] = Counter()
        self._policy = policy
        self._limit = limit
        self._weights = weights or {}
        self._shares: dict[Model, _Share] = {}
        self._used_s = 0.0  # of the model that was served last, when it was
        self._came = 0
        self._changed = threading.Condition()

    def put(self, job: Job, stop: threading.Event) -> None:
        """Add a window; waits for room under the lossless policy unless stopped."""
        key = (job.window.stream, job.analyzer)
        with self._changed:
            share = self._shares.setdefault(job.analyzer.model, _Share())
            lane = share.lanes.setdefault(key, _Lane())
            while self._policy is Policy.LOSSLESS and len(lane.jobs) >= self._limit:
                if stop.is_set():
                    return
                self._changed.wait(_SLICE_S)
            if len(lane.jobs) >= self._limit:
                lane.jobs.popleft()
                trace.instant("window", "window shed", stream=job.window.stream)
                self.shed[job.window.stream] += 1
            elif not lane.jobs:
                if not share.busy:
                    share.used_s = max(share.used_s, self._used_s)
                lane.turn = max(lane.turn, share.turn)
            lane.jobs.append(job)
            share.note_arrival(job.ready_at_ns)
            self._came += 1
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is any window; False if there is none for so long."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(len(self)), timeout_s)

    def wait_for_another(self, timeout_s: float) -> None:
        """Wait until another window comes, but no longer than this."""
        with self._changed:
            before = self._came
            self._changed.wait_for(lambda: self._came != before, timeout_s)

    def turn(self) -> Waiting | None:
        """Whose turn it is; None if nothing waits."""
        with self._changed:
            busy = {model: share for model, share in self._shares.items() if share.busy}
            if not busy:
                return None
            model = min(busy, key=lambda one: busy[one].place)
            count = sum(len(lane.jobs) for lane in busy[model].busy)
            return Waiting(model, count, busy[model].gap_s, len(busy) == 1)

    def take(self, model: Model, count: int) -> list[Job]:
        """The windows whose turn it is, so many at the most."""
        taken: list[Job] = []
        with self._changed:
            share = self._shares[model]
            self._used_s = share.used_s
            while len(taken) < count and (busy := share.busy):
                lane = min(busy, key=lambda one: one.place)
                taken.append(lane.jobs.popleft())
                share.turn = max(share.turn, lane.turn)
                lane.turn += 1
            self._changed.notify_all()
        return taken

    def charge(self, model: Model, seconds: float) -> None:
        """Count machine time that a model had."""
        with self._changed:
            self._shares[model].used_s += seconds / self._weights.get(model.method, 1.0)

    def counters(self) -> dict[str, int]:
        """What was shed, in all and by stream, for health messages."""
        with self._changed:
            by_stream = {labelled("windows_shed", name): n for name, n in self.shed.items()}
        return {"windows_shed": sum(by_stream.values()), **by_stream}

    def gauges(self, now_ns: int) -> dict[str, float]:
        """How many windows wait, and for how long the oldest has, for health messages."""
        with self._changed:
            waiting = [job.ready_at_ns for lane in self._lanes() for job in lane.jobs]
        age_s = (now_ns - min(waiting, default=now_ns)) / NS_PER_S
        return {"windows_waiting": float(len(waiting)), "queue_age_s": age_s}

    def __len__(self) -> int:
        with self._changed:
            return sum(len(lane.jobs) for lane in self._lanes())

    def _lanes(self) -> list[_Lane]:
        return [lane for share in self._shares.values() for lane in share.lanes.values()]
