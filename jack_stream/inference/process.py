"""The inference process: receives, cuts, predicts, publishes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import structlog

from jack_stream import runtime
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.config import NOT_STATED, Config, StreamSettings
from jack_stream.errors import ModelFailedError, ModelInputError
from jack_stream.events.feed import EventFeed
from jack_stream.events.publisher import EventOutlet, EventPublisher
from jack_stream.events.schema import Event, EventSegment, EventWindow, Latency, ModelInfo
from jack_stream.features.localization import Segment
from jack_stream.inference.analyzer import Analyzer, Prediction, read, shares
from jack_stream.inference.catalogue import check_methods, make_analyzer
from jack_stream.inference.handover import Handover
from jack_stream.inference.intake import Intake
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.models.registry import Model
from jack_stream.window.spec import Modality, Window
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import Kind
from jack_stream.wire.policy import Policy
from jack_stream.wire.receiver import Receiver
from jack_stream.wire.tally import Tally

__all__ = ["Inference", "endpoints_of", "run"]

_SLICE_S = 0.1
_NS_PER_MS = 1e6
_FAILURES_IN_A_ROW = 5
_log = structlog.get_logger()
_DEVICES: dict[Modality, tuple[str, ...]] = {
    "frame": ("camera", "scene", "recording", "remote"),
    "audio": ("microphone", "camera", "scene", "recording", "remote"),
    "pose": ("pose", "recording", "remote"),
}


def endpoints_of(config: Config, stream: StreamSettings, modalities: set[Modality]) -> list[str]:
    """The addresses of a stream's processes that publish any of these modalities."""
    devices: list[str] = []
    for modality in sorted(modalities):
        for device in _DEVICES[modality]:
            if getattr(stream, device) is not None and device not in devices:
                devices.append(device)
                break
    return [config.capture_endpoint(stream.name, device) for device in devices]


class Inference:
    """Predicts for windows and publishes what was predicted.

    Args:
        publisher: where events go.
        clock: the time line.
        handover: which windows are to be published; all if absent.
        purpose: what every event says that it was made for.

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
        self._tally = Tally()
        self._failed_in_a_row: Counter[tuple[str, str]] = Counter()

    def handle(self, job: Job) -> list[Event]:
        """Predict for one window and publish an event per prediction.

        Raises:
            ModelFailedError: the model failed at several windows of a stream in a row.
        """
        started_ns = self._clock.now_ns()
        predictions = self._predict(job)
        if predictions is None:
            return []
        done_ns = self._clock.now_ns()
        lane = _lane(job)
        self._tally.observe((done_ns - started_ns) / NS_PER_S, "inference_s", *lane)
        self.inference_ms = (done_ns - started_ns) / _NS_PER_MS
        self.media_s = (job.window.end_ns - job.window.origin_ns) / 1e9
        if not self._handover.includes(job.window.start_ns):
            return []
        events = [self._event(job, one, started_ns, done_ns) for one in predictions]
        for event in events:
            self._publisher.publish(event)
            self.last_event_ns = event.published_at_ns
            self._tally.count("events", *lane)
            self._tally.observe(event.latency.total_ms / 1e3, "latency_s", *lane)
        return events

    def _predict(self, job: Job) -> list[Prediction] | None:
        """What the model says; None if it refuses the window or fails at it."""
        lane = _lane(job)
        try:
            predictions = job.analyzer.predict(job.window)
        except ModelInputError as error:
            self.refused += 1
            self._tally.count("windows_refused", *lane)
            _log.warning("a window was refused", stream=job.window.stream, cause=str(error))
            return None
        except Exception as error:  # noqa: BLE001 - whatever a library raises costs one window only
            cause = f"{type(error).__name__}: {error}"
        else:
            cause = "" if all(map(_is_finite, predictions)) else "it gave numbers that are none"
        if not cause:
            self._failed_in_a_row.pop(lane, None)
            self.trouble = "" if not self._failed_in_a_row else self.trouble
            return predictions
        self._tally.count("windows_failed", *lane)
        self._failed_in_a_row[lane] += 1
        self.trouble = f"{job.analyzer.model.method} failed at a window of {lane[0]}: {cause[:200]}"
        _log.error("a model failed at a window", stream=lane[0], method=lane[1], cause=cause)
        if self._failed_in_a_row[lane] >= _FAILURES_IN_A_ROW:
            raise ModelFailedError(
                f"{lane[1]} failed at {_FAILURES_IN_A_ROW} windows of {lane[0]} in a row: {cause}",
                hint="The process is started again. If that does not help, look at its weights:"
                " `jack-stream weights show BUNDLE`.",
            )
        return None

    def work(
        self,
        queue: WindowQueue,
        is_over: Callable[[], bool],
        stop: threading.Event,
        report: Callable[[], None],
    ) -> None:
        """Handle windows until stopped, or until no more can come and none is left."""
        while not stop.is_set():
            over = is_over()
            job = queue.get(_SLICE_S)
            if job is not None:
                self.handle(job)
            elif over:
                return
            report()

    def counters(self) -> dict[str, int]:
        """What became of the windows, for health messages."""
        kept = self._publisher.counters()
        return {"windows_refused": self.refused, **kept, **self._tally.counters()}

    def gauges(self) -> dict[str, float]:
        """How long things take, for health messages."""
        took = {"inference_ms": self.inference_ms, "media_s": self.media_s}
        return took | self._tally.gauges()

    def _event(self, job: Job, one: Prediction, started_ns: int, done_ns: int) -> Event:
        window, model = job.window, job.analyzer.model
        reading = read(model, one)
        now_ns = self._clock.now_ns()
        waited_ns = max(0, job.ready_at_ns - window.newest_ns)
        return Event(
            stream=window.stream,
            seq=self._publisher.next_seq(window.stream, model.method),
            session=self._publisher.session,
            person=one.person,
            window=EventWindow(
                index=window.index,
                start_ns=window.start_ns,
                end_ns=window.end_ns,
                start_s=(window.start_ns - window.origin_ns) / NS_PER_S,
                end_s=(window.end_ns - window.origin_ns) / NS_PER_S,
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
            latency=Latency(
                capture_to_window_ms=waited_ns / _NS_PER_MS,
                queue_ms=(started_ns - job.ready_at_ns) / _NS_PER_MS,
                inference_ms=(done_ns - started_ns) / _NS_PER_MS,
                publish_ms=(now_ns - done_ns) / _NS_PER_MS,
            ),
            purpose=self._purpose,
        )


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
    with _outlet(config) as publisher:
        health.report("starting", detail="loading models and compiling their kernels")
        analyzers = load_analyzers(config)
        modalities = {
            name: {m for a in found for m in a.spec.modalities} for name, found in analyzers.items()
        }
        sources = {
            stream.name: endpoints_of(config, stream, modalities[stream.name])
            for stream in config.streams
            if analyzers[stream.name]
        }
        kinds: set[Kind] = {"end", *(m for found in modalities.values() for m in found)}
        queue = WindowQueue(config.runtime.policy)
        handover = handover or Handover()
        inference = Inference(publisher, clock, handover, config.purpose.use)
        with Receiver(
            [endpoint for found in sources.values() for endpoint in found],
            kinds,
            policy=config.runtime.policy,
        ) as receiver:
            counts = {name: len(found) for name, found in sources.items()}
            intake = Intake(receiver, analyzers, counts, queue, clock, over=over)

            def report() -> None:
                publisher.tend()
                if handover.alone:
                    health.process = "inference"
                came = {f"messages_{name}": n for name, n in receiver.counters().items()}
                health.report(
                    "degraded" if inference.trouble else "running",
                    came | intake.counters() | queue.counters() | inference.counters(),
                    inference.gauges() | queue.gauges(clock.now_ns()) | publisher.gauges(),
                    inference.trouble,
                )

            with ThreadPoolExecutor(1, "intake") as thread:
                taking_in = thread.submit(intake.run, stop)

                def is_over() -> bool:
                    until_ns = handover.until_ns
                    return taking_in.done() or (until_ns is not None and intake.is_past(until_ns))

                on_ready()
                try:
                    inference.work(queue, is_over, stop, report)
                finally:
                    stop.set()
                taking_in.result()  # whatever ended it too early ends the process, too
        health.report("stopped", {"events": publisher.published})


def _outlet(config: Config) -> EventOutlet:
    """Where events go: to the journal, which publishes them, or straight to the subscribers."""
    if config.journal.enabled:
        patient = config.runtime.policy is Policy.LOSSLESS
        return EventFeed(config.journal_inbox, patient=patient)
    return EventPublisher(config.events.endpoint)


def load_analyzers(config: Config) -> dict[str, list[Analyzer]]:
    """Make Jittor ready, load all models and let each answer once.

    Raises:
        JackError: something is missing or wrong; nothing is captured before this is sound.
    """
    check_methods(settings for stream in config.streams for settings in stream.analyzers)
    runtime.prepare(threads=config.runtime.threads, device=config.runtime.device)
    analyzers = {
        stream.name: [make_analyzer(settings) for settings in stream.analyzers]
        for stream in config.streams
    }
    for found in analyzers.values():
        for analyzer in found:
            analyzer.warm_up()
    return analyzers


def _lane(job: Job) -> tuple[str, str]:
    return job.window.stream, job.analyzer.model.method


def _is_finite(one: Prediction) -> bool:
    numbers = [one.support, *(s.score for s in one.segments)]
    return bool(np.isfinite(one.logits).all() and np.isfinite(numbers).all())


def _located(window: Window, model: Model, segment: Segment) -> EventSegment:
    start_ns = window.start_ns + round(segment.start_s * NS_PER_S)
    end_ns = window.start_ns + round(segment.end_s * NS_PER_S)
    return EventSegment(
        label=model.labels[segment.label],
        score=segment.score,
        start_ns=start_ns,
        end_ns=end_ns,
        start_s=(start_ns - window.origin_ns) / NS_PER_S,
        end_s=(end_ns - window.origin_ns) / NS_PER_S,
    )


def _describe(analyzer: Analyzer) -> ModelInfo:
    model = analyzer.model
    digest = "untrained" if model.origin is None else model.origin.digest
    return ModelInfo(method=model.method, bundle=digest, trained=model.trained)
