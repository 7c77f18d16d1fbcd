"""The inference process: receives, cuts, predicts, publishes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import structlog

from jack_stream import trace
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.config import NOT_STATED, Config
from jack_stream.errors import ModelFailedError, ModelInputError
from jack_stream.events.publisher import EventOutlet
from jack_stream.events.schema import Event
from jack_stream.inference import tracing
from jack_stream.inference.analyzer import Analyzer, Prediction
from jack_stream.inference.batch import Outcome
from jack_stream.inference.event import Timing, event_of
from jack_stream.inference.fusing import Fusing
from jack_stream.inference.handover import Handover
from jack_stream.inference.intake import Intake
from jack_stream.inference.loading import (
    endpoints_of,
    load_analyzers,
    make_outlet,
    make_pace,
    measure_costs,
)
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.inference.scheduler import Batch, Scheduler
from jack_stream.models.unlocked import collect, unlocked
from jack_stream.wire.codec import KIND_OF_VIEW
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import Kind
from jack_stream.wire.receiver import Receiver
from jack_stream.wire.tally import Tally

__all__ = ["Inference", "run"]

_SLICE_S = 0.1
_NS_PER_MS = 1e6
_FAILURES_IN_A_ROW = 5
_log = structlog.get_logger()


class Inference:
    """Predicts for windows and publishes what was predicted.

    Args:
        publisher: where events go.
        clock: the time line.
        handover: which windows are to be published; all if absent.
        purpose: what every event says that it was made for.
        fusing: makes fused events; nobody if absent.

    Attributes:
        refused: windows that their model could not take.
        last_event_ns: when the newest event was published, 0 before the first.
        inference_ms: how long the newest window took.
        media_s: seconds from its origin to the end of the newest window.
        trouble: what was wrong with the newest window of a lane, empty if nothing was.
    """

    def __init__(
        self,
        publisher: EventOutlet,
        clock: TimeSource,
        handover: Handover | None = None,
        purpose: str = NOT_STATED,
        fusing: Fusing | None = None,
    ) -> None:
        self.refused = 0
        self.last_event_ns = 0
        self.inference_ms = 0.0
        self.media_s = 0.0
        self.trouble = ""
        self._publisher = publisher
        self._clock = clock
        self._handover = handover or Handover()
        self._purpose = purpose
        self._fusing = fusing
        self._tally = Tally()
        self._failed_in_a_row: Counter[tuple[str, str]] = Counter()

    def handle(self, batch: Batch) -> list[Event]:
        """Publish an event per prediction, window after window.

        Raises:
            ModelFailedError: the model failed at several windows of a stream in a row.
        """
        timing = Timing(batch.free_ns, batch.started_ns, batch.done_ns)
        tracing.answered(batch)
        self.inference_ms = (batch.done_ns - batch.started_ns) / _NS_PER_MS
        events, failure = [], None
        for job, task in zip(batch.jobs, batch.tasks, strict=True):
            try:
                predictions = self._judged(job, task.outcome)
            except ModelFailedError as error:
                failure = error  # what the others' models said is published all the same
                continue
            said = [] if predictions is None else self._publish(job, predictions, timing)
            events += said
            if self._fusing is not None:
                fused = self._fusing.hear(*_lane(job), job.window.end_ns, said)
                events += self._send(fused)
        if failure is not None:
            raise failure
        return events

    def _publish(self, job: Job, predictions: list[Prediction], timing: Timing) -> list[Event]:
        lane, publisher = _lane(job), self._publisher
        self._tally.observe((timing.done_ns - timing.started_ns) / NS_PER_S, "inference_s", *lane)
        self.media_s = (job.window.end_ns - job.window.zero_ns) / 1e9
        if not self._handover.includes(job.window.start_ns):
            return []
        now_ns, purpose = self._clock.now_ns(), self._purpose
        events = [
            event_of(job, one, timing, now_ns=now_ns, outlet=publisher, purpose=purpose)
            for one in predictions
        ]
        tracing.published(job, timing.latency(job, now_ns), now_ns, len(events))
        with trace.span("window", "publish events", window=tracing.key(job)):
            return self._send(events)

    def _send(self, events: list[Event]) -> list[Event]:
        for event in events:
            lane = event.stream, event.model.method
            self._publisher.publish(event)
            self.last_event_ns = event.published_at_ns
            self._tally.count("events", *lane)
            self._tally.observe(event.latency.total_ms / 1e3, "latency_s", *lane)
        return events

    def _judged(self, job: Job, outcome: Outcome) -> list[Prediction] | None:
        """What the model says; None if it refused the window or failed at it."""
        lane, cause = _lane(job), ""
        if isinstance(outcome, ModelInputError):
            self.refused += 1
            self._tally.count("windows_refused", *lane)
            _log.warning("a window was refused", stream=job.window.stream, cause=str(outcome))
            return None
        if isinstance(outcome, Exception):
            cause = f"{type(outcome).__name__}: {outcome}"
        elif all(map(_is_finite, outcome)):
            self._failed_in_a_row.pop(lane, None)
            self.trouble = "" if not self._failed_in_a_row else self.trouble
            return outcome
        self._note_failure(lane, cause or "it gave numbers that are none")
        return None

    def _note_failure(self, lane: tuple[str, str], cause: str) -> None:
        stream, method = lane
        self._tally.count("windows_failed", *lane)
        self._failed_in_a_row[lane] += 1
        self.trouble = f"{method} failed at a window of {stream}: {cause[:200]}"
        _log.error("a model failed at a window", stream=stream, method=method, cause=cause)
        if self._failed_in_a_row[lane] >= _FAILURES_IN_A_ROW:
            raise ModelFailedError(
                f"{method} failed at {_FAILURES_IN_A_ROW} windows of {stream} in a row: {cause}",
                hint="The process is started again. If that does not help, look at its weights:"
                " `jack-stream weights show BUNDLE`.",
            )

    def work(
        self,
        scheduler: Scheduler,
        is_over: Callable[[], bool],
        stop: threading.Event,
        report: Callable[[], None],
    ) -> None:
        """Handle windows until stopped, or until no more can come and none is left."""
        while not stop.is_set():
            over = is_over()
            batch = scheduler.next(_SLICE_S)
            if batch is not None:
                self.handle(batch)
            elif over:
                break
            report()
            collect()
        if self._fusing is not None:
            self._send(self._fusing.flush())

    def counters(self) -> dict[str, int]:
        """What became of the windows, for health messages."""
        kept = self._publisher.counters()
        return {"windows_refused": self.refused, **kept, **self._tally.counters()}

    def gauges(self) -> dict[str, float]:
        """How long things take, for health messages."""
        took = {"inference_ms": self.inference_ms, "media_s": self.media_s}
        return took | self._tally.gauges()


def run(
    config: Config,
    *,
    clock: TimeSource,
    stop: threading.Event,
    health: HealthReporter,
    over: Collection[str] = (),
    handover: Handover | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Run until stopped, or until every stream has ended and its windows are done.

    Args:
        config: the whole configuration.
        clock: the time line.
        stop: ends the process; the window at hand is finished first.
        health: where to report.
        over: streams of which nothing more will come, whether they say so or not; may grow.
        handover: which windows are this process's to publish; all if absent.
        on_ready: called once the models are compiled and have answered a made-up window.
    """
    with make_outlet(config) as publisher:
        health.report("starting", detail="loading models and compiling their kernels")
        analyzers = load_analyzers(config)
        costs = measure_costs(config)
        modalities = {
            name: {m for a in found for m in a.spec.modalities} for name, found in analyzers.items()
        }
        sources = {
            stream.name: endpoints_of(config, stream, modalities[stream.name])
            for stream in config.streams
            if analyzers[stream.name]
        }
        kinds = _kinds(a for found in analyzers.values() for a in found)
        queue = WindowQueue(config.runtime.policy, weights=config.runtime.weights)
        pace = make_pace(config, analyzers, clock)
        handover = handover or Handover()
        fusing = Fusing(config, analyzers, publisher, clock)
        inference = Inference(publisher, clock, handover, config.purpose.use, fusing)
        with Receiver(
            [endpoint for found in sources.values() for endpoint in found],
            kinds,
            policy=config.runtime.policy,
        ) as receiver:
            counts = {name: len(found) for name, found in sources.items()}
            intake = Intake(receiver, analyzers, counts, queue, clock, over=over, pace=pace)

            def report() -> None:
                publisher.tend()
                if handover.alone:
                    health.process = "inference"
                came = {f"messages_{name}": n for name, n in receiver.counters().items()}
                health.report(
                    "degraded" if inference.trouble else "running",
                    came
                    | intake.counters()
                    | pace.counters()
                    | queue.counters()
                    | inference.counters(),
                    inference.gauges()
                    | pace.gauges()
                    | queue.gauges(clock.now_ns())
                    | publisher.gauges(),
                    inference.trouble,
                )

            with ThreadPoolExecutor(1, "intake") as thread:
                taking_in = thread.submit(intake.run, stop)

                def is_over() -> bool:
                    until_ns = handover.until_ns
                    return taking_in.done() or (until_ns is not None and intake.is_past(until_ns))

                on_ready()
                try:
                    with unlocked():
                        scheduler = Scheduler(queue, clock, costs, pace)
                        inference.work(scheduler, is_over, stop, report)
                finally:
                    stop.set()
                taking_in.result()  # whatever ended it too early ends the process, too
        health.report("stopped", {"events": publisher.published})


def _kinds(analyzers: Iterable[Analyzer]) -> set[Kind]:
    """What to receive for these analyzers: of pictures, the views that they look at."""
    kinds: set[Kind] = {"end"}
    for analyzer in analyzers:
        kinds |= set(analyzer.spec.modalities) - {"frame"}
        if analyzer.view is not None:
            kinds.add(KIND_OF_VIEW[analyzer.view])
    return kinds


def _lane(job: Job) -> tuple[str, str]:
    return job.window.stream, job.analyzer.model.method


def _is_finite(one: Prediction) -> bool:
    numbers = [one.support, *(s.score for s in one.segments)]
    return bool(np.isfinite(one.logits).all() and np.isfinite(numbers).all())
