"""From what a source yields to the wire, at the right pace, and how that goes."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Literal

from jack_stream.capture.reader import SourceReader
from jack_stream.capture.samples import Picture, Sample, Sound
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import State
from jack_stream.wire.publisher import Publisher

__all__ = ["Delivery"]

_POLL_S = 0.1
_RATE_SPAN_NS = 5 * NS_PER_S
_GAP_FACTOR = 3
_SILENCE_S = 60.0
_GAP_AFTER = 10  # intervals that must be known before one can be called too long


class Delivery:
    """Publishes a source's samples and reports health.

    Counters: ``frames``, ``audio_blocks``, ``gaps`` (pictures three times as far apart as usual).
    Gauges: ``fps`` over the last five seconds, ``age_ms`` of the newest sample of a live source.

    Args:
        publisher: where to send.
        clock: the time line.
        stop: ends everything when set.
        health: where to report.
        counters: of the source; shown with the others.
        pace: ``realtime`` sends recorded media when a device would have, ``fast`` at once.
        quiet_s: a live source that yields nothing for so long is reported as degraded.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        clock: TimeSource,
        stop: threading.Event,
        health: HealthReporter,
        counters: Counter[str],
        pace: Literal["realtime", "fast"] = "realtime",
        quiet_s: float = 5.0,
    ) -> None:
        self.counters = counters
        self.gauges: dict[str, float] = {}
        self._publisher = publisher
        self._clock = clock
        self._stop = stop
        self._health = health
        self._realtime = pace == "realtime"
        self._quiet_ns = int(quiet_s * NS_PER_S)
        self._sent_at_ns: deque[int] = deque()
        self._heard_ns = clock.now_ns()
        self._last_picture_ns = 0
        self._interval_ns = 0.0
        self._intervals = 0
        self._end = (0, 0)  # captured_at_ns and origin_ns of the end of what was sent

    def deliver(self, reader: SourceReader) -> None:
        """Publish until the source ends (then an ``end`` too) or ``stop`` is set.

        Raises:
            JackError: the source can't be read and trying again won't help.
        """
        self._publisher.unblock_on(self._stop)
        self._report("starting")
        with reader:
            while not self._stop.is_set():
                sample = reader.get(_POLL_S)
                if sample is not None:
                    self._heard_ns = self._clock.now_ns()
                    self._send(sample)
                elif reader.exhausted:
                    at_ns, origin_ns = self._end
                    self._publisher.end("end of the source", at_ns or None, origin_ns=origin_ns)
                    break
                self._report(*self._state(reader))
        self._report("stopped")

    def _send(self, sample: Sample) -> None:
        if sample.origin_ns and self._realtime:
            self._wait_until(sample.end_ns)
            if self._stop.is_set():
                return
        if not sample.origin_ns:
            age_ns = self._clock.now_ns() - sample.end_ns
            self.gauges["age_ms"] = age_ns / 1e6
        self._end = max(self._end, (sample.end_ns, sample.origin_ns))
        if isinstance(sample, Picture):
            self._send_picture(sample)
        else:
            self._send_sound(sample)

    def _send_picture(self, picture: Picture) -> None:
        self._count_gap(picture)
        sent = self._publisher.frame(
            picture.image,
            picture.captured_at_ns,
            source_size=picture.source_size,
            discontinuity=picture.discontinuity,
            origin_ns=picture.origin_ns,
        )
        self.counters["frames"] += sent
        now_ns = self._clock.now_ns()
        self._sent_at_ns.append(now_ns)

    def _send_sound(self, sound: Sound) -> None:
        self.counters["audio_blocks"] += self._publisher.audio(
            sound.samples,
            sound.sample_rate,
            sound.captured_at_ns,
            discontinuity=sound.discontinuity,
            origin_ns=sound.origin_ns,
        )

    def _count_gap(self, picture: Picture) -> None:
        interval_ns = picture.captured_at_ns - self._last_picture_ns
        if self._last_picture_ns:
            usual_ns = self._interval_ns if self._intervals >= _GAP_AFTER else interval_ns
            self.counters["gaps"] += interval_ns > _GAP_FACTOR * usual_ns > 0
            self._intervals += 1
            self._interval_ns += (interval_ns - self._interval_ns) / min(self._intervals, 50)
        self._last_picture_ns = picture.captured_at_ns

    def _wait_until(self, at_ns: int) -> None:
        while not self._stop.is_set():
            left_ns = at_ns - self._clock.now_ns()
            if left_ns <= 0:
                return
            self._stop.wait(min(left_ns / NS_PER_S, _POLL_S))

    def _state(self, reader: SourceReader) -> tuple[State, str]:
        if reader.state == "opening":
            return "starting", ""
        if reader.state == "lost":
            return "reconnecting", reader.detail
        quiet_ns = self._clock.now_ns() - self._heard_ns
        if reader.state == "reading" and quiet_ns > self._quiet_ns:
            return "degraded", f"nothing came for {quiet_ns / NS_PER_S:.0f} s"
        silent_s = self.gauges.get("silent_s", 0.0)
        if silent_s > _SILENCE_S:
            return "degraded", f"nothing but silence for {silent_s:.0f} s; is it muted?"
        return "running", ""

    def _report(self, state: State, detail: str = "") -> None:
        now_ns = self._clock.now_ns()
        while self._sent_at_ns and now_ns - self._sent_at_ns[0] > _RATE_SPAN_NS:
            self._sent_at_ns.popleft()
        if len(self._sent_at_ns) > 1:
            span_ns = now_ns - self._sent_at_ns[0]
            self.gauges["fps"] = round((len(self._sent_at_ns) - 1) * NS_PER_S / span_ns, 2)
        elif self.counters["frames"]:
            self.gauges["fps"] = 0.0
        self._health.report(state, dict(self.counters), self.gauges, detail)
