"""Presentation timestamps on the process's time line."""

from __future__ import annotations

from typing import Protocol

from jack_stream.capture.drift import DriftMeter
from jack_stream.clock import NS_PER_S, TimeSource

__all__ = ["ArrivalTimeline", "LiveTimeline", "MediaTimeline", "Timeline"]


class Timeline(Protocol):
    """Maps media time to the time of capture; picture and sound of a source share one."""

    origin_ns: int
    """What ``captured_at_ns`` is at media time zero; 0 if that is not fixed."""

    def observe(self, media_ns: int) -> None:
        """Take note that the content up to this media time has arrived just now."""

    def captured_at_ns(self, media_ns: int) -> int:
        """The time of capture of this media time; something must have been observed before."""


class MediaTimeline:
    """For recorded media: zero is read from the clock once, and everything follows from it."""

    def __init__(self, clock: TimeSource) -> None:
        self.origin_ns = 0
        self._clock = clock
        self._loop_ns = 0

    def observe(self, media_ns: int) -> None:
        """Fix the origin at the first call; when things arrive doesn't matter."""
        del media_ns
        if self.origin_ns == 0:
            self.origin_ns = self._clock.now_ns()

    def captured_at_ns(self, media_ns: int) -> int:
        """Origin plus media time, exactly, whatever the real delay was."""
        return self.origin_ns + self._loop_ns + media_ns

    def begin_loop(self, length_ns: int) -> None:
        """Play again: media time zero now follows the end of what was played before."""
        self._loop_ns += length_ns


class LiveTimeline:
    """For live streams: the least delay that was seen lately stands for capture to arrival.

    Arrival times jitter with the network and the decoder, the sender's timestamps do not; but its
    clock drifts against ours. So the offset between both goes towards the smallest one of the last
    40 seconds, corrected for the drift that was measured, and by a tenth of the time that passes at
    most, so that time never goes back. A jump of the sender's clock by more than five seconds
    starts this anew and is counted.

    Args:
        clock: our time.
        gauges: where ``clock_drift_ppm`` is kept, once it is known.
    """

    _JUMP_NS = 5 * NS_PER_S
    _SLEW = 10

    def __init__(self, clock: TimeSource, gauges: dict[str, float] | None = None) -> None:
        self.origin_ns = 0
        self.jumps = 0
        self._clock = clock
        self._gauges = {} if gauges is None else gauges
        self._newest_ns = 0
        self._drift: DriftMeter | None = None
        self._offset = 0

    def observe(self, media_ns: int) -> None:
        """Take the delay of what has just arrived into account."""
        arrived_ns = self._clock.now_ns()
        offset = arrived_ns - media_ns
        if self._drift is None or abs(offset - self._offset) > self._JUMP_NS:
            self.jumps += self._drift is not None
            self._drift = DriftMeter()
            self._drift.note(arrived_ns, offset)
            self._newest_ns = media_ns
            self._offset = offset
            return
        self._drift.note(arrived_ns, offset)
        if self._drift.ppm is not None:
            self._gauges["clock_drift_ppm"] = round(self._drift.ppm, 1)
        step = max(0, media_ns - self._newest_ns) // self._SLEW
        self._newest_ns = max(self._newest_ns, media_ns)
        self._offset += max(-step, min(step, self._drift.least_ns(arrived_ns) - self._offset))

    def captured_at_ns(self, media_ns: int) -> int:
        """Media time plus the offset."""
        return media_ns + self._offset


class ArrivalTimeline:
    """For live streams without timestamps: what arrives was captured just now."""

    def __init__(self, clock: TimeSource) -> None:
        self.origin_ns = 0
        self._clock = clock
        self._offset = 0

    def observe(self, media_ns: int) -> None:
        """This media time is now."""
        self._offset = self._clock.now_ns() - media_ns

    def captured_at_ns(self, media_ns: int) -> int:
        """Now, less the media time since."""
        return media_ns + self._offset
