"""One modality of one stream: its recent samples in order of time, and its watermark."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from jack_stream.clock import NS_PER_S
from jack_stream.window.spec import Modality, Sample
from jack_stream.wire.messages import Audio

__all__ = ["Track", "start_of", "stop_of"]


def start_of(sample: Sample) -> int:
    """When a sample begins, in nanoseconds."""
    return sample.stamp.captured_at_ns


def stop_of(sample: Sample) -> int:
    """When a sample is over: the end of its block for sound, its instant for the others."""
    if isinstance(sample, Audio):
        duration = len(sample.samples) * NS_PER_S // sample.sample_rate
        return sample.stamp.captured_at_ns + duration
    return sample.stamp.captured_at_ns


@dataclass
class Track:
    """The samples that may still be needed.

    Attributes:
        modality: of all its samples.
        session: the publisher's run that they come from, empty before the first.
        origin_ns: media time zero of that run, None before the first sample.
        watermark_ns: nothing earlier will come; None before the first sample.
        ended: whether the publisher said that nothing follows.
        samples: ascending in time.
    """

    modality: Modality
    session: str = ""
    origin_ns: int | None = None
    watermark_ns: int | None = None
    ended: bool = False
    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> bool:
        """Keep a sample in its place; False if it is there already."""
        key = (start_of(sample), sample.stamp.seq)
        place = bisect.bisect_left(self.samples, key, key=lambda s: (start_of(s), s.stamp.seq))
        if place < len(self.samples):
            twin = self.samples[place].stamp
            if (twin.captured_at_ns, twin.seq, twin.session) == (*key, sample.stamp.session):
                return False
        self.samples.insert(place, sample)
        self.session = sample.stamp.session
        self.ended = False
        stop_ns = stop_of(sample)
        if self.watermark_ns is None or stop_ns > self.watermark_ns:
            self.watermark_ns = stop_ns
        return True

    def has_passed(self, time_ns: int) -> bool:
        """Whether everything before this time is here."""
        return self.ended or (self.watermark_ns is not None and self.watermark_ns >= time_ns)

    def between(self, start_ns: int, end_ns: int) -> tuple[Sample, ...]:
        """The samples in ``[start_ns, end_ns)``; of sound, every block that touches it."""
        last = bisect.bisect_left(self.samples, end_ns, key=start_of)
        if self.modality == "audio":
            return tuple(s for s in self.samples[:last] if stop_of(s) > start_ns)
        first = bisect.bisect_left(self.samples, start_ns, key=start_of)
        return tuple(self.samples[first:last])

    def neighbours(self, samples: tuple[Sample, ...]) -> tuple[Sample | None, Sample | None]:
        """What came right before some samples that follow each other here, and right after."""
        first = self.samples.index(samples[0])
        last = first + len(samples)
        before = self.samples[first - 1] if first else None
        return before, self.samples[last] if last < len(self.samples) else None

    def forget(self, before_ns: int) -> None:
        """Drop what ended before this time, but for the last such sample."""
        keep = next(
            (i for i, sample in enumerate(self.samples) if stop_of(sample) >= before_ns),
            len(self.samples),
        )
        del self.samples[: max(0, keep - 1)]
