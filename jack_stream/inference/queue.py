"""Windows that wait for their model, fairly across streams and bounded."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import NamedTuple

from jack_stream.clock import NS_PER_S
from jack_stream.inference.analyzer import Analyzer
from jack_stream.window.spec import Window
from jack_stream.wire.policy import Policy
from jack_stream.wire.tally import labelled

__all__ = ["Job", "WindowQueue"]

_SLICE_S = 0.1
_Key = tuple[str, str]
"""Stream and method."""


class Job(NamedTuple):
    """A complete window and who is to look at it."""

    window: Window
    analyzer: Analyzer
    ready_at_ns: int


class WindowQueue:
    """The streams and methods take turns, with at most ``limit`` waiting windows each.

    A live queue that is full sheds the oldest window of the same stream and method, which keeps
    its turn: however fast a stream is, it neither pushes another's windows out nor loses its own
    turn to its newer ones. So a window that is served has waited for ``limit`` rounds at the most.
    A lossless queue makes the giver wait.

    Args:
        policy: what happens when windows come faster than they are taken.
        limit: windows that wait at the most, per stream and method.

    Attributes:
        shed: windows that were dropped, by stream.
    """

    def __init__(self, policy: Policy, limit: int = 2) -> None:
        self.shed: Counter[str] = Counter()
        self._policy = policy
        self._limit = limit
        self._lanes: dict[_Key, deque[Job]] = {}  # in the order of their turns; none is empty
        self._changed = threading.Condition()

    def put(self, job: Job, stop: threading.Event) -> None:
        """Add a window; waits for room under the lossless policy unless stopped."""
        key = _key(job)
        with self._changed:
            while self._policy is Policy.LOSSLESS and self._is_full(key):
                if stop.is_set():
                    return
                self._changed.wait(_SLICE_S)
            if self._is_full(key):
                self._lanes[key].popleft()
                self.shed[job.window.stream] += 1
            self._lanes.setdefault(key, deque()).append(job)
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Job | None:
        """The window whose turn it is, or None if there is none for ``timeout_s`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._lanes), timeout_s)
            if not self._lanes:
                return None
            key, lane = next(iter(self._lanes.items()))
            del self._lanes[key]
            job = lane.popleft()
            if lane:
                self._lanes[key] = lane  # behind the others
            self._changed.notify_all()
            return job

    def counters(self) -> dict[str, int]:
        """What was shed, in all and by stream, for health messages."""
        with self._changed:
            by_stream = {labelled("windows_shed", name): n for name, n in self.shed.items()}
        return {"windows_shed": sum(by_stream.values()), **by_stream}

    def gauges(self, now_ns: int) -> dict[str, float]:
        """How many windows wait, and for how long the oldest has, for health messages."""
        with self._changed:
            waiting = [job.ready_at_ns for lane in self._lanes.values() for job in lane]
        age_s = (now_ns - min(waiting, default=now_ns)) / NS_PER_S
        return {"windows_waiting": float(len(waiting)), "queue_age_s": age_s}

    def __len__(self) -> int:
        with self._changed:
            return sum(len(lane) for lane in self._lanes.values())

    def _is_full(self, key: _Key) -> bool:
        return len(self._lanes.get(key, ())) >= self._limit


def _key(job: Job) -> _Key:
    return job.window.stream, job.analyzer.model.method
