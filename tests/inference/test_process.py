"""From a window to events: what they say, in which order, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.clock import Clock
from jack_stream.config import Config, loads
from jack_stream.errors import ModelFailedError, ModelInputError
from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import Event, decode, encode
from jack_stream.features.localization import Segment
from jack_stream.inference import process
from jack_stream.inference.analyzer import UNCERTAIN, Prediction, read
from jack_stream.inference.batch import Task, answer
from jack_stream.inference.event import Timing
from jack_stream.inference.loading import endpoints_of
from jack_stream.inference.process import Inference
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.inference.scheduler import Batch, Scheduler
from jack_stream.service import child
from jack_stream.service.session import private
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.policy import Policy
from tests.inference.streams import (
    MS,
    ORIGIN,
    FakeAnalyzer,
    FakeClock,
    FakeModel,
    S,
    frames_at,
    window,
)

LOGITS = np.log(np.array([0.25, 0.75], np.float32))


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[EventPublisher]:
    with EventPublisher(f"ipc://{tmp_path}/events") as publisher:
        yield publisher


@pytest.fixture
def inference(publisher: EventPublisher) -> Inference:
    return Inference(publisher, FakeClock(ORIGIN + 10 * S))


def _analyzer(*predictions: Prediction, **model: Any) -> FakeAnalyzer:
    return FakeAnalyzer(lambda _: list(predictions), model=FakeModel(**model))


def _job(analyzer: FakeAnalyzer, start_ns: int = 2 * S, **options: Any) -> Job:
    seen = window({"frame": frames_at(4.0), "audio": []}, start_ns, S, **options)
    return Job(seen, analyzer, ORIGIN + 9 * S)


def _handle(inference: Inference, *jobs: Job) -> list[Event]:
    """What is published of windows that are answered together."""
    return inference.handle(_scheduler(*jobs).next(0.0))  # type: ignore[arg-type]


def _scheduler(*jobs: Job) -> Scheduler:
    queue = WindowQueue(Policy.LIVE, limit=len(jobs))
    for job in jobs:
        queue.put(job, threading.Event())
    return Scheduler(queue, FakeClock(ORIGIN + 10 * S))


def test_an_event_says_what_when_and_by_whom(
    inference: Inference, publisher: EventPublisher
) -> None:
    prediction = Prediction(LOGITS, 7, 0.8, ("a bit dark",))
    job = _job(_analyzer(prediction, trained=True), degraded=("audio missing",))
    (event,) = _handle(inference, job)
    assert (event.stream, event.person, event.label) == ("door", 7, "cross")
    assert event.confidence == pytest.approx(0.75)
    assert event.probabilities == pytest.approx({"calm": 0.25, "cross": 0.75})
    assert (event.window.start_ns, event.window.end_ns) == (ORIGIN + 2 * S, ORIGIN + 3 * S)
    assert (event.window.start_s, event.window.end_s) == (2.0, 3.0)
    assert event.model.method == "fake"
    assert (event.model.trained, event.model.bundle) == (True, "d" * 64)
    assert event.modalities == ("frame",)
    assert event.degraded == ("audio missing", "a bit dark")
    assert event.support == 0.8
    assert event.session == publisher.session
    assert event.segments == ()
    assert publisher.published == 1
    assert inference.last_event_ns == event.published_at_ns


@given(
    st.lists(st.integers(0, 5 * S), min_size=3, max_size=3), st.integers(-S, S), st.integers(0, S)
)
def test_the_stages_of_the_latency_add_up_to_all_of_it(
    stages: list[int], early_ns: int, publish_ns: int
) -> None:
    """Whether a window came before the machine was free, or while others were waited for."""
    job = _job(FakeAnalyzer())
    started_ns = job.ready_at_ns + stages[0]
    free_ns = min(job.ready_at_ns + early_ns, started_ns)
    timing = Timing(free_ns, started_ns, started_ns + stages[1])
    latency = timing.latency(job, timing.done_ns + publish_ns)
    whole_ns = timing.done_ns + publish_ns - job.window.newest_ns
    assert latency.total_ms == pytest.approx(whole_ns / MS)
    assert latency.inference_ms == pytest.approx(stages[1] / MS)
    assert min(latency.queue_ms, latency.batch_ms) >= 0
    assert latency.queue_ms == pytest.approx(max(0, free_ns - job.ready_at_ns) / MS)


def test_an_events_latency_is_its_age(inference: Inference) -> None:
    job = _job(_analyzer(Prediction(LOGITS), Prediction(LOGITS, 2)))
    for event in _handle(inference, job):
        whole_ms = (event.published_at_ns - job.window.newest_ns) / MS
        assert event.latency.total_ms == pytest.approx(whole_ms)
        assert event.latency.capture_to_window_ms == pytest.approx(6000)
    assert inference.inference_ms > 0


def test_a_file_that_is_read_faster_than_it_was_recorded_has_no_negative_latency(
    inference: Inference,
) -> None:
    job = _job(_analyzer(Prediction(LOGITS)))._replace(ready_at_ns=ORIGIN)
    (event,) = _handle(inference, job)
    assert event.latency.capture_to_window_ms == 0


def test_events_say_what_they_were_made_for(publisher: EventPublisher) -> None:
    def said(*given: str) -> str:
        inference = Inference(publisher, FakeClock(ORIGIN + 10 * S), None, *given)
        (event,) = _handle(inference, _job(_analyzer(Prediction(LOGITS))))
        return event.purpose

    assert said() == "not stated"
    assert said("research") == "research"


def test_weights_of_chance_say_so(inference: Inference) -> None:
    (event,) = _handle(inference, _job(_analyzer(Prediction(LOGITS))))
    assert (event.model.trained, event.model.bundle) == (False, "untrained")


def test_below_the_bundles_threshold_the_label_is_uncertain(inference: Inference) -> None:
    for threshold, label in ((0.74, "cross"), (0.76, UNCERTAIN)):
        analyzer = _analyzer(Prediction(LOGITS), decision=(1.0, threshold))
        (event,) = _handle(inference, _job(analyzer))
        assert event.label == label
        assert event.confidence == pytest.approx(0.75)
        assert sum(event.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(("support", "label"), [(0.59, UNCERTAIN), (0.6, "cross")])
def test_on_too_little_evidence_the_label_is_uncertain(support: float, label: str) -> None:
    model: Any = FakeModel(decision=(1.0, 0.0, 0.6))
    assert read(model, Prediction(LOGITS, support=support)).label == label


def test_the_bundles_temperature_calibrates() -> None:
    model: Any = FakeModel(decision=(2.0, 0.0))
    odds = read(model, Prediction(LOGITS)).probabilities
    assert odds["cross"] / odds["calm"] == pytest.approx(np.sqrt(3))


def test_large_logits_stay_probabilities() -> None:
    model: Any = FakeModel()
    reading = read(model, Prediction(np.array([1e4, -1e4], np.float32)))
    assert reading.probabilities == {"calm": 1.0, "cross": 0.0}


def test_events_of_a_stream_and_method_are_numbered_without_gaps(inference: Inference) -> None:
    both = _analyzer(Prediction(LOGITS, 1), Prediction(LOGITS, 2))
    numbers: dict[tuple[str, str], list[int]] = {}
    for job in (
        _job(both),
        _job(_analyzer(Prediction(LOGITS), method="other")),
        _job(_analyzer()),
        _job(both, stream="yard"),
        _job(both),
    ):
        for event in _handle(inference, job):
            numbers.setdefault((event.stream, event.model.method), []).append(event.seq)
    assert numbers == {
        ("door", "fake"): [0, 1, 2, 3],
        ("door", "other"): [0],
        ("yard", "fake"): [0, 1],
    }


def test_a_window_that_the_model_refuses_is_counted_and_passed_over(inference: Inference) -> None:
    def refuse(_: Any) -> list[Prediction]:
        raise ModelInputError("not this one")

    assert _handle(inference, _job(FakeAnalyzer(refuse))) == []
    counters = inference.counters()
    assert (counters["windows_refused"], counters["events"]) == (1, 0)
    assert counters["windows_refused.door.fake"] == 1


def _raise(_: Any) -> list[Prediction]:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (FakeAnalyzer(_raise), "RuntimeError: out of memory"),
        (FakeAnalyzer(lambda _: [Prediction(LOGITS), Prediction(LOGITS * np.nan)]), "none"),
        (FakeAnalyzer(lambda _: [Prediction(LOGITS, support=float("nan"))]), "none"),
        (
            FakeAnalyzer(lambda _: [Prediction(LOGITS, segments=(Segment(1, np.inf, 0, 1),))]),
            "none",
        ),
    ],
)
def test_a_model_that_raises_or_gives_nan_costs_its_window_and_is_seen(
    inference: Inference, bad: FakeAnalyzer, said: str
) -> None:
    assert _handle(inference, _job(bad)) == []
    assert said in inference.trouble
    counters = inference.counters()
    assert (counters["windows_failed.door.fake"], counters["events"]) == (1, 0)
    good = _analyzer(Prediction(LOGITS))
    assert [event.seq for event in _handle(inference, _job(good))] == [0]
    assert inference.trouble == "", "it is well again"


def test_a_model_that_fails_again_and_again_ends_the_process(inference: Inference) -> None:
    bad = FakeAnalyzer(_raise)
    for _ in range(4):
        _handle(inference, _job(bad))
        _handle(inference, _job(_analyzer(Prediction(LOGITS)), stream="yard"))
    with pytest.raises(ModelFailedError, match="5 windows of door in a row: RuntimeError"):
        _handle(inference, _job(bad))
    assert ModelFailedError.exit_code not in child._PERMANENT, "it is tried again"


def test_what_fails_in_a_batch_costs_nobody_else_anything(inference: Inference) -> None:
    model: Any = FakeModel()
    bad, good = FakeAnalyzer(_raise, model=model), FakeAnalyzer(lambda _: [Prediction(LOGITS)])
    good.model = model
    for _ in range(4):
        _handle(inference, _job(bad))
    jobs = [_job(bad), _job(good, stream="yard")]
    batch = Batch(jobs, [Task(job.analyzer.look(job.window)) for job in jobs], 0, 0, 0)
    answer(batch.tasks)
    with pytest.raises(ModelFailedError):
        inference.handle(batch)
    assert inference.counters()["events.yard.fake"] == 1


def test_localised_segments_carry_the_streams_time(inference: Inference) -> None:
    segments = (Segment(1, 0.9, 0.25, 0.75), Segment(0, -0.1, 0.0, 0.125))
    job = _job(_analyzer(Prediction(LOGITS, segments=segments)))
    (event,) = _handle(inference, job)
    first, second = event.segments
    assert (first.label, first.score) == ("cross", 0.9)
    assert (first.start_ns, first.end_ns) == (ORIGIN + 2_250 * MS, ORIGIN + 2_750 * MS)
    assert (first.start_s, first.end_s) == (2.25, 2.75)
    assert (second.label, second.start_s, second.end_s) == ("calm", 2.0, 2.125)
    assert decode(encode(event)) == event


def test_an_event_without_segments_of_an_older_release_is_read(inference: Inference) -> None:
    (event,) = _handle(inference, _job(_analyzer(Prediction(LOGITS))))
    topic, text = encode(event)
    older = text.replace(b'"segments":[],', b"")
    assert older != text
    assert decode([topic, older]) == event


def test_work_ends_when_all_streams_have_and_no_window_is_left(inference: Inference) -> None:
    stop, job = threading.Event(), _job(_analyzer(Prediction(LOGITS)))
    scheduler = _scheduler(job, job)
    reports: list[int] = []
    inference.work(scheduler, lambda: True, stop, lambda: reports.append(1))
    assert inference.counters()["events"] == 2
    assert scheduler.next(0.0) is None
    assert reports


def test_work_ends_when_stopped(inference: Inference) -> None:
    stop = threading.Event()
    job = _job(FakeAnalyzer(lambda _: stop.set() or []))  # type: ignore[func-returns-value]
    scheduler = _scheduler(job, job)
    inference.work(scheduler, lambda: False, stop, lambda: None)
    assert scheduler.next(0.0) is not None, "one is left"


def test_networks_compute_without_the_lock_as_soon_as_they_are_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    @contextmanager
    def unlocked() -> Iterator[None]:
        said.append("unlocked")
        yield
        said.append("locked")

    analyzers = {"door": [_analyzer(Prediction(LOGITS))]}
    monkeypatch.setattr(process, "load_analyzers", lambda _: analyzers)
    monkeypatch.setattr(process, "measure_costs", lambda _: {})
    monkeypatch.setattr(process, "unlocked", unlocked)
    monkeypatch.setattr(Inference, "work", lambda *_: said.append("work"))
    analyzed = 'scene = {}\n[[streams.analyzers]]\nmethod = "bpm-gcn"'
    with (
        private(_config(analyzed)) as config,
        HealthReporter("inference", "", clock=Clock()) as health,
    ):
        process.run(
            config,
            clock=Clock(),
            stop=threading.Event(),
            health=health,
            on_ready=lambda: said.append("ready"),
        )
    assert said == ["ready", "unlocked", "work", "locked"]


def _config(text: str) -> Config:
    return loads(f'[[streams]]\nname = "door"\n{text}', "test.toml")


def test_each_modality_comes_from_the_process_that_publishes_it() -> None:
    config = _config('camera = {source = "0"}\nmicrophone = {}\npose = {}')
    (stream,) = config.streams

    def devices(*modalities: Any) -> list[str]:
        return [e.rsplit(".", 1)[1] for e in endpoints_of(config, stream, set(modalities))]

    assert devices("frame") == ["camera"]
    assert devices("audio", "frame") == ["microphone", "camera"]
    assert devices("pose") == ["pose"]
    config = _config('camera = {source = "film.mp4"}')
    (stream,) = config.streams
    assert devices("audio", "frame") == ["camera"]
