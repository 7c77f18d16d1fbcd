"""Cuts one stream into windows in event time, however its messages were delayed on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from jack_stream.clock import NS_PER_S
from jack_stream.window.spec import Modality, Sample, Window, WindowSpec
from jack_stream.window.track import Track, start_of, stop_of
from jack_stream.wire.messages import Audio, End, Frame, Poses

__all__ = ["WindowAssembler"]

LEAP_NS = 60 * NS_PER_S
"""Time that passes over more than this without a sample was never watched: nothing is cut of it."""
_MAX_PER_S = 500
_HOLE_NS = NS_PER_S // 2
_HOLE_FACTOR = 3


class WindowAssembler:
    """Collects samples and gives out windows as soon as they are complete.

    A window is complete when the watermark of each of its modalities has passed its end. If one
    stays behind the others for longer than the allowed lateness, the window is given out without
    what is missing, marked as degraded. Only the times in the messages count, never the clock.

    Args:
        stream: the stream's name.
        spec: how it is cut.
        shrink: makes of a picture what its analyzer needs, before it is kept: ten seconds of full
            pictures would take hundreds of megabytes.

    Attributes:
        counters: ``used`` and ``dropped_late``, ``dropped_double``, ``dropped_reset``,
            ``dropped_full`` samples; ``windows``, ``windows_degraded``; ``leaps`` of time.
    """

    def __init__(
        self, stream: str, spec: WindowSpec, *, shrink: Callable[[Frame], Frame] | None = None
    ) -> None:
        self.stream = stream
        self.spec = spec
        self.counters: Counter[str] = Counter()
        self._shrink = shrink
        self._tracks: dict[Modality, Track] = {m: Track(m) for m in spec.modalities}
        self._zero_ns = 0
        self._origin_ns: int | None = None
        self._next = 0
        self._given = 0
        self._newest_ns = 0
        span_ns = spec.length_ns + spec.hop_ns + spec.lateness_ns
        self._max_samples = 1000 + _MAX_PER_S * span_ns // NS_PER_S

    def add(self, message: Frame | Audio | Poses | End) -> None:
        """Take a message of this stream; other modalities than the spec's are passed over."""
        if isinstance(message, End):
            self._note_end(message)
            return
        track = self._tracks.get(_modality(message))
        if track is None:
            return
        if track.origin_ns not in (None, message.stamp.origin_ns) or self._origin_ns is None:
            self._begin(message)
        elif self._leaps(message, track):
            self.counters["leaps"] += 1
            self._begin(message)
        track.origin_ns = message.stamp.origin_ns
        if isinstance(message, Frame) and self._shrink is not None:
            message = self._shrink(message)
        if stop_of(message) < self._start_of(self._next):
            self.counters["dropped_late"] += 1
            track.add(message)  # whether anything is missing after it shows by its number
            track.forget(self._start_of(self._next))
        elif len(track.samples) >= self._max_samples:
            self.counters["dropped_full"] += 1
        elif track.add(message):
            self.counters["used"] += 1
            self._newest_ns = max(self._newest_ns, stop_of(message))
        else:
            self.counters["dropped_double"] += 1

    def ready(self) -> Iterator[Window]:
        """The windows that have become complete, in order."""
        while self._origin_ns is not None:
            end_ns = self._start_of(self._next) + self.spec.length_ns
            if not self._is_complete(end_ns):
                break
            yield self._cut()
        if self._is_over() and self._given == 0 and any(t.samples for t in self._tracks.values()):
            yield self._cut(short=True)

    @property
    def next_start_ns(self) -> int:
        """Where the next window begins; 0 before the first sample."""
        return self._start_of(self._next)

    def _note_end(self, end: End) -> None:
        # Others' ends say nothing: poses may still come long after their camera has ended.
        for track in self._tracks.values():
            if track.session == end.stamp.session:
                track.ended = True
                end_ns = min(end.stamp.captured_at_ns, self._newest_ns + LEAP_NS)
                self._newest_ns = max(self._newest_ns, end_ns)

    def _leaps(self, message: Sample, track: Track) -> bool:
        """Whether a sample lies so far off that its clock was set, its machine slept, or it lies.

        Back only for a new run of the only sender there is: time within a run never goes back.
        """
        here_ns = max(self._newest_ns, self._start_of(self._next))
        if start_of(message) > here_ns + self.spec.length_ns + LEAP_NS:
            return True
        others = [one for one in self._tracks.values() if one is not track]
        return (
            message.stamp.session != track.session
            and start_of(message) < self._start_of(self._next) - LEAP_NS
            and all(one.watermark_ns is None for one in others)
        )

    def _begin(self, message: Sample) -> None:
        """Lay the grid: for media from media time zero if that is near, else from the next hop."""
        origin_ns = message.stamp.origin_ns
        for track in self._tracks.values():
            self.counters["dropped_reset"] += len(track.samples)
            track.samples.clear()
            track.watermark_ns = None
            track.origin_ns = None
        self._zero_ns = origin_ns
        self._origin_ns = origin_ns or self.spec.phase_ns
        self._given = 0
        self._newest_ns = 0
        since = start_of(message) - self._origin_ns
        near = origin_ns and since <= LEAP_NS
        self._next = 0 if near else -(-since // self.spec.hop_ns)

    def _start_of(self, index: int) -> int:
        return (self._origin_ns or 0) + index * self.spec.hop_ns

    def _is_over(self) -> bool:
        """Whether every modality that was ever there has ended."""
        there = [track for track in self._tracks.values() if track.session]
        return bool(there) and all(track.ended for track in there)

    def _is_complete(self, end_ns: int) -> bool:
        if self._newest_ns < end_ns:
            return False
        if self._newest_ns >= end_ns + self.spec.lateness_ns or self._is_over():
            return True
        return all(track.has_passed(end_ns) for track in self._tracks.values())

    def _cut(self, *, short: bool = False) -> Window:
        start_ns = self._start_of(self._next)
        end_ns = start_ns + self.spec.length_ns
        samples: dict[Modality, tuple[Sample, ...]] = {
            modality: track.between(start_ns, end_ns) for modality, track in self._tracks.items()
        }
        degraded = [
            reason
            for modality, track in self._tracks.items()
            if (reason := _fault(track, samples[modality], start_ns, end_ns))
        ]
        if short:
            degraded.append("shorter than a window")
        stops = [min(stop_of(sample), end_ns) for found in samples.values() for sample in found]
        window = Window(
            stream=self.stream,
            index=self._next,
            origin_ns=self._origin_ns or 0,
            start_ns=start_ns,
            end_ns=end_ns,
            samples=samples,
            degraded=tuple(degraded),
            newest_ns=max(stops, default=start_ns),
            zero_ns=self._zero_ns,
        )
        self._next += 1
        self._given += 1
        self.counters["windows"] += 1
        self.counters["windows_degraded"] += bool(degraded)
        for track in self._tracks.values():
            track.forget(self._start_of(self._next))
        return window


def _modality(message: Sample) -> Modality:
    if isinstance(message, Frame):
        return "frame"
    return "audio" if isinstance(message, Audio) else "pose"


def _fault(track: Track, samples: tuple[Sample, ...], start_ns: int, end_ns: int) -> str:
    """What is wrong with a modality's samples in one window, or an empty string."""
    if not samples:
        return f"{track.modality} missing"
    before, after = track.neighbours(samples)
    # What is missing between a neighbour and a sample at the very edge is not missing here.
    chain = [
        *([before] if before is not None and start_of(samples[0]) > start_ns else []),
        *samples,
        *([after] if after is not None and stop_of(samples[-1]) < end_ns else []),
    ]
    whole = track.has_passed(end_ns) and not any(map(_is_broken, chain, chain[1:]))
    return "" if whole and not _has_a_hole(chain) else f"{track.modality} lost"


def _is_broken(before: Sample, after: Sample) -> bool:
    """Whether something that was captured, or should have been, is missing between two samples."""
    one, two = before.stamp, after.stamp
    interrupted = not isinstance(after, Poses) and after.discontinuity
    return one.session != two.session or two.seq != one.seq + 1 or interrupted


def _has_a_hole(chain: Sequence[Sample]) -> bool:
    """Whether poses stayed away, because pictures did: their own numbers don't show that."""
    if not isinstance(chain[0], Poses) or len(chain) < 3:
        return False
    intervals = sorted(start_of(b) - start_of(a) for a, b in pairwise(chain))
    usual_ns = intervals[len(intervals) // 2]
    return intervals[-1] > max(_HOLE_NS, _HOLE_FACTOR * usual_ns)
