"""How often streams are looked at: less often under load, as often as wanted when there is room."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from jack_stream.clock import NS_PER_S
from jack_stream.errors import ConfigError
from jack_stream.inference.analyzer import Analyzer
from jack_stream.inference.queue import Job
from jack_stream.wire.tally import labelled

__all__ = ["Lane", "Pace"]

Lane = tuple[str, Analyzer]
"""A stream and who looks at it."""

HIGH = 0.9
"""Share of its time that the machine may be busy with windows before hops are widened."""
LOW = 0.7
"""Hops are narrowed only if it would still be less busy than this. The gap prevents flutter."""
PERIOD_S = 2.0
_RATE = 0.3
_OUTLIER = 2.0
_GONE_HOPS = 3
"""A stream of which nothing came for so many hops makes no load."""


@dataclass(slots=True)
class _State:
    """How a lane fares.

    Attributes:
        hop_s: of its grid.
        widest: times that its hop may be widened to, at the most.
        stride: every so many-th window of the grid is looked at.
        cost_s: machine time of a window.
        has_begun: whether any window was looked at.
        seen_ns: when its newest window was complete.
        skipped: windows that were passed over.
    """

    hop_s: float
    widest: int
    stride: int = 1
    cost_s: float = 0.0
    has_begun: bool = False
    seen_ns: int | None = None
    skipped: int = 0

    def load(self, now_ns: int, stride: int | None = None) -> float:
        """Share of the machine's time that it takes, at its stride or another one."""
        if self.seen_ns is None or (now_ns - self.seen_ns) / NS_PER_S > (
            _GONE_HOPS * self.hop_s * self.stride + PERIOD_S
        ):
            return 0.0
        return self.cost_s / (self.hop_s * (stride or self.stride))


class Pace:
    """Widens hops where the machine would be busy over 90 % of its time, and narrows them again.

    The load is what windows were measured to cost, times how often they come: how much too high it
    is shows also where windows are shed already. A wider hop is a whole multiple of the grid's:
    windows between are skipped, the others keep their numbers. All are widened alike, the narrowest
    first. A hop is narrowed only if the machine would still be busy for less than 70 % of its time.

    Args:
        lanes: each lane's widest hop in seconds; None for a hop that stays as it is.
        now_ns: the time.

    Raises:
        ConfigError: a widest hop is narrower than the hop.
    """

    def __init__(self, lanes: Mapping[Lane, float | None], now_ns: int) -> None:
        self._states = {lane: _state(lane, widest_s) for lane, widest_s in lanes.items()}
        self._lock = threading.Lock()
        self._since_ns = now_ns

    def wants(self, job: Job) -> bool:
        """Whether a window that is complete is to be looked at; counts it if not."""
        with self._lock:
            state = self._states[job.window.stream, job.analyzer]
            state.seen_ns = job.ready_at_ns
            if job.window.index % state.stride == 0:
                return True
            state.skipped += 1
            return False

    def charge(self, job: Job, seconds: float) -> None:
        """Count the machine time that a window took, but not a stream's first: all in it is new."""
        with self._lock:
            state = self._states[job.window.stream, job.analyzer]
            if state.cost_s:
                usual_s = min(seconds, _OUTLIER * state.cost_s)
                state.cost_s += _RATE * (usual_s - state.cost_s)
            elif state.has_begun:
                state.cost_s = seconds
            state.has_begun = True

    def adjust(self, now_ns: int) -> None:
        """Widen or narrow hops, if it is time to look at the load again."""
        if now_ns - self._since_ns < PERIOD_S * NS_PER_S:
            return
        with self._lock:
            self._since_ns = now_ns
            if self._load(now_ns) > HIGH:
                self._widen(now_ns)
            else:
                self._narrow(now_ns)

    def counters(self) -> dict[str, int]:
        """Windows that were skipped, by stream and method, for health messages."""
        with self._lock:
            return {
                labelled("windows_skipped", stream, analyzer.model.method): state.skipped
                for (stream, analyzer), state in self._states.items()
            }

    def gauges(self) -> dict[str, float]:
        """The hop of each stream and method in seconds, for health messages."""
        with self._lock:
            return {
                labelled("hop_s", stream, analyzer.model.method): state.hop_s * state.stride
                for (stream, analyzer), state in self._states.items()
            }

    def _load(self, now_ns: int) -> float:
        return sum(state.load(now_ns) for state in self._states.values())

    def _widen(self, now_ns: int) -> None:
        while self._load(now_ns) > HIGH:
            can = [s for s in self._states.values() if s.stride < s.widest and s.load(now_ns)]
            if not can:
                return
            min(can, key=lambda state: (state.stride, -state.load(now_ns))).stride += 1

    def _narrow(self, now_ns: int) -> None:
        """One hop by one step at a time: what follows from it is measured before the next."""
        wide = [state for state in self._states.values() if state.stride > 1]
        if not wide:
            return
        state = max(wide, key=lambda one: (one.stride, -one.load(now_ns)))
        more = state.load(now_ns, state.stride - 1) - state.load(now_ns)
        if self._load(now_ns) + more < LOW:
            state.stride -= 1


def _state(lane: Lane, widest_s: float | None) -> _State:
    stream, analyzer = lane
    hop_s = analyzer.spec.hop_ns / NS_PER_S
    widest = 1 if widest_s is None else int(widest_s / hop_s + 1e-9)
    if widest < 1:
        raise ConfigError(
            f"stream {stream!r}: max_hop_s = {widest_s:g} of {analyzer.model.method} is less than"
            f" its hop of {hop_s:g} s",
            hint=f"Set max_hop_s to a multiple of {hop_s:g}, or leave it out: the hop stays fixed.",
        )
    return _State(hop_s, widest)
