"""Windows that wait for their model, fairly across streams and bounded."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import NamedTuple

from jack_stream.inference.analyzer import Analyzer
from jack_stream.window.spec import Window
from jack_stream.wire.policy import Policy

__all__ = ["Job", "WindowQueue"]

_SLICE_S = 0.1


class Job(NamedTuple):
    """A complete window and who is to look at it."""

    window: Window
    analyzer: Analyzer
    ready_at_ns: int


class WindowQueue:
    """First come, first served, with at most ``limit`` windows per stream and method.

    A live queue that is full sheds its oldest window of the same stream and method, so that a busy
    stream never pushes another's windows out. A lossless one makes the giver wait.

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
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()

    def put(self, job: Job, stop: threading.Event) -> None:
        """Add a window; waits for room under the lossless policy unless stopped."""
        with self._changed:
            while self._policy is Policy.LOSSLESS and len(self._same(job)) >= self._limit:
                if stop.is_set():
                    return
                self._changed.wait(_SLICE_S)
            if len(same := self._same(job)) >= self._limit:
                self._jobs.remove(same[0])
                self.shed[job.window.stream] += 1
            self._jobs.append(job)
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Job | None:
        """The longest-waiting window, or None if there is none for ``timeout_s`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._jobs), timeout_s)
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            self._changed.notify_all()
            return job

    def __len__(self) -> int:
        return len(self._jobs)

    def _same(self, job: Job) -> list[Job]:
        key = (job.window.stream, job.analyzer.model.method)
        return [j for j in self._jobs if (j.window.stream, j.analyzer.model.method) == key]
