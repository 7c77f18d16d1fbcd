"""From a prediction to the event that says it."""

from __future__ import annotations

from dataclasses import dataclass

from jack_stream.clock import NS_PER_S
from jack_stream.events.publisher import EventOutlet
from jack_stream.events.schema import Event, EventSegment, EventWindow, Latency, ModelInfo
from jack_stream.features.localization import Segment
from jack_stream.inference.analyzer import Analyzer, Prediction, read, shares
from jack_stream.inference.queue import Job
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window

__all__ = ["Timing", "event_of"]

_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Timing:
    """When a window went from stage to stage, besides when it was complete.

    Attributes:
        free_ns: when the machine was free for the batch that it was answered in.
        started_ns: when the batch was taken up.
        done_ns: when it had its answers.
    """

    free_ns: int
    started_ns: int
    done_ns: int

    def latency(self, job: Job, now_ns: int) -> Latency:
        """Where the time went until now; the stages add up, also where a stage was skipped."""
        taken_ns = min(max(job.ready_at_ns, self.free_ns), self.started_ns)
        return Latency(
            capture_to_window_ms=max(0, job.ready_at_ns - job.window.newest_ns) / _NS_PER_MS,
            queue_ms=(taken_ns - job.ready_at_ns) / _NS_PER_MS,
            batch_ms=(self.started_ns - taken_ns) / _NS_PER_MS,
            inference_ms=(self.done_ns - self.started_ns) / _NS_PER_MS,
            publish_ms=(now_ns - self.done_ns) / _NS_PER_MS,
        )


def event_of(
    job: Job, one: Prediction, timing: Timing, *, now_ns: int, outlet: EventOutlet, purpose: str
) -> Event:
    """The event that says a prediction, with the outlet's next number."""
    window, model = job.window, job.analyzer.model
    reading = read(model, one)
    return Event(
        stream=window.stream,
        seq=outlet.next_seq(window.stream, model.method),
        session=outlet.session,
        person=one.person,
        window=EventWindow(
            index=window.index,
            start_ns=window.start_ns,
            end_ns=window.end_ns,
            start_s=(window.start_ns - window.zero_ns) / NS_PER_S,
            end_s=(window.end_ns - window.zero_ns) / NS_PER_S,
        ),
        label=reading.label,
        confidence=reading.confidence,
        probabilities=reading.probabilities,
        model=_describe(job.analyzer),
        modalities=window.present,
        degraded=(*window.degraded, *one.degraded),
        support=one.support,
        segments=tuple(_located(window, model, segment) for segment in one.segments),
        attention=shares(one.attention),
        published_at_ns=now_ns,
        latency=timing.latency(job, now_ns),
        purpose=purpose,
    )


def _located(window: Window, model: Model, segment: Segment) -> EventSegment:
    start_ns = window.start_ns + round(segment.start_s * NS_PER_S)
    end_ns = window.start_ns + round(segment.end_s * NS_PER_S)
    return EventSegment(
        label=model.labels[segment.label],
        score=segment.score,
        start_ns=start_ns,
        end_ns=end_ns,
        start_s=(start_ns - window.zero_ns) / NS_PER_S,
        end_s=(end_ns - window.zero_ns) / NS_PER_S,
    )


def _describe(analyzer: Analyzer) -> ModelInfo:
    model = analyzer.model
    digest = "untrained" if model.origin is None else model.origin.digest
    return ModelInfo(method=model.method, bundle=digest, trained=model.trained)
