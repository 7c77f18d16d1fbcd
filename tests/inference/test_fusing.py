"""Fused events on their way out of the inference process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.config import Config, loads
from jack_stream.errors import ConfigError
from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import Event
from jack_stream.inference.analyzer import Prediction
from jack_stream.inference.batch import Task, answer
from jack_stream.inference.fusing import Fusing, quality_of
from jack_stream.inference.process import Inference
from jack_stream.inference.queue import Job
from jack_stream.inference.scheduler import Batch
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.weights.card import Metric
from tests.inference.streams import ORIGIN, FakeAnalyzer, FakeClock, FakeModel, S, frames_at, window

_CONFIG = """
[runtime]
policy = "lossless"
[[streams]]
name = "door"
camera = {{ source = "0" }}
pose = {{}}
analyzers = [{{ method = "bpm-gcn" }}, {{ method = "vaanet-audio" }}]
fusion = {{ {settings} }}
"""


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[EventPublisher]:
    with EventPublisher(f"ipc://{tmp_path}/events") as publisher:
        yield publisher


def _config(settings: str = 'scheme = "four", smoothing_s = 0') -> Config:
    return loads(_CONFIG.format(settings=settings), "test")


def _analyzer(method: str, person: int | None, *shares: float, **model: Any) -> Any:
    logits = np.log(np.array(shares, np.float32))
    found = FakeModel(labels=EMOTION_GAIT, method=method, **({"trained": True} | model))
    return FakeAnalyzer(lambda _: [Prediction(logits, person)], model=found)


def _handle(inference: Inference, analyzer: Any, start_s: int) -> list[Event]:
    seen = window({"frame": frames_at(4.0)}, start_s * S, S)
    tasks = [Task(analyzer.look(seen))]
    answer(tasks)
    now_ns = ORIGIN + 9 * S
    job = Job(seen, analyzer, now_ns)
    return inference.handle(Batch([job], tasks, now_ns, now_ns, now_ns))


def test_a_fused_event_is_an_event_of_one_more_method(publisher: EventPublisher) -> None:
    walk = _analyzer("bpm-gcn", 3, 0.7, 0.1, 0.1, 0.1)
    voice = _analyzer("vaanet-audio", None, 0.1, 0.7, 0.1, 0.1)
    clock = FakeClock(ORIGIN + 10 * S)
    fusing = Fusing(_config(), {"door": [walk, voice]}, publisher, clock)
    inference = Inference(publisher, clock, None, "research", fusing)
    assert [e.model.method for e in _handle(inference, walk, 2)] == ["bpm-gcn"]
    heard, fused = _handle(inference, voice, 2)
    assert (heard.model.method, fused.model.method) == ("vaanet-audio", "fusion")
    assert (fused.person, fused.seq, fused.session) == (3, 0, publisher.session)
    assert (fused.window.end_ns, fused.window.end_s) == (ORIGIN + 3 * S, 3.0)
    assert fused.model.trained
    assert fused.purpose == "research"
    assert fused.probabilities["happy"] == pytest.approx(fused.probabilities["sad"])
    assert fused.confidence == max(fused.probabilities.values())
    assert [part.method for part in fused.ingredients] == ["bpm-gcn", "vaanet-audio"]
    assert [part.weight for part in fused.ingredients] == pytest.approx([0.5, 0.5])
    assert fused.valence is not None
    assert fused.delay_ms == pytest.approx(500)
    newest_ns = window({"frame": frames_at(4.0)}, 2 * S, S).newest_ns
    whole_ms = (fused.published_at_ns - newest_ns) / 1e6
    assert fused.latency.total_ms == pytest.approx(whole_ms)
    assert publisher.published == 3
    assert 1 in [number for name, number in inference.counters().items() if "fusion" in name]


def test_what_is_noise_is_not_fused_unless_asked_for(publisher: EventPublisher) -> None:
    noise = {"door": [_analyzer("bpm-gcn", 1, 0.4, 0.2, 0.2, 0.2, trained=False)]}
    clock = FakeClock(ORIGIN)
    with pytest.raises(ConfigError, match="nothing to fuse"):
        Fusing(_config(), noise, publisher, clock)
    inference = Inference(
        publisher, clock, fusing=Fusing(_config("untrained = true"), noise, publisher, clock)
    )
    events = _handle(inference, noise["door"][0], 2)
    assert not any(event.model.trained for event in events)
    assert len(events) == 2


def test_classes_without_names_are_refused_before_anything_runs(
    publisher: EventPublisher,
) -> None:
    nameless = FakeModel(labels=("class-0", "class-1"), method="bpm-gcn", trained=True)
    analyzers: Any = {"door": [FakeAnalyzer(model=nameless)]}
    with pytest.raises(ConfigError, match="'class-0'"):
        Fusing(_config(), analyzers, publisher, FakeClock(ORIGIN))


@pytest.mark.parametrize(
    ("figures", "quality"),
    [
        ([], 0.5),
        ([("average recall", 0.25)], 0.05),
        ([("average recall", 0.7), ("average recall", 0.4), ("average recall", 0.1)], 0.2),
        ([("accuracy", 0.7)], 0.6),
        ([("accuracy", 1.0), ("average recall", 0.4)], 0.2),
        ([("something else", 0.9)], 0.5),
    ],
)
def test_a_models_weight_is_what_its_card_says_it_gains_over_chance(
    figures: list[tuple[str, float]], quality: float
) -> None:
    model = FakeModel(labels=EMOTION_GAIT, trained=True)
    if model.origin is not None:
        metrics = [Metric(name=name, value=value, measured_on="x") for name, value in figures]
        model.origin.card.metrics = metrics
    given: Any = model
    assert quality_of(given) == pytest.approx(quality)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("weights = { vaanet = 1 }", "'vaanet', which is no method of its analyzers"),
        ("weights = { bpm-gcn = 0, vaanet-audio = 0 }", "no analyzer with any weight"),
        ('scheme = "nine"', "scheme"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        _config(settings)
