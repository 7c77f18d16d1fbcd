"""What health says of a source, with sources that the test makes up."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jack_stream.capture.delivery import Delivery
from jack_stream.capture.reader import SourceReader
from jack_stream.capture.reconnect import Backoff
from jack_stream.capture.samples import Picture, Sample, Sound
from jack_stream.clock import Clock
from jack_stream.errors import SourceLostError
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import Audio, End, Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from tests.capture.running import running

_IMAGE = np.zeros((4, 4, 3), np.uint8)
_MS = 1_000_000


def _deliver(
    samples: Callable[[], Generator[Sample, None, None]], *, quiet_s: float = 5.0
) -> Callable[..., None]:
    def run(_settings: None, publisher: Any, **common: Any) -> None:
        counters: Counter[str] = Counter()
        reader = SourceReader(samples, backoff=Backoff(0.3, 0.3), counters=counters)
        publisher.wait_for_receivers(common["stop"])
        Delivery(publisher, counters=counters, quiet_s=quiet_s, **common).deliver(reader)

    return run


def test_a_source_that_falls_quiet_is_degraded_until_it_speaks(tmp_path: Path) -> None:
    speak, end = threading.Event(), threading.Event()

    def samples() -> Generator[Sample, None, None]:
        yield Picture(_IMAGE, (4, 4), Clock().now_ns())
        speak.wait(20)
        yield Picture(_IMAGE, (4, 4), Clock().now_ns())
        end.wait(20)

    with running(_deliver(samples, quiet_s=0.3), None, tmp_path, policy=Policy.LIVE) as source:
        source.get(Frame)
        assert "nothing came" in source.until_state("degraded").detail
        speak.set()
        source.until_state("running")
        end.set()
        source.get(End)


def test_a_microphone_that_gives_only_silence_is_degraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, stop = Clock(), threading.Event()
    with (
        Publisher(f"ipc://{tmp_path}/s", "door", policy=Policy.LIVE, clock=clock) as publisher,
        HealthReporter("microphone.door", "door", clock=clock) as health,
    ):
        delivery = Delivery(publisher, clock=clock, stop=stop, health=health, counters=Counter())
        reader: Any = SimpleNamespace(state="reading", detail="")
        delivery.gauges["silent_s"] = 59.0
        assert delivery._state(reader) == ("running", "")
        delivery.gauges["silent_s"] = 61.0
        state, detail = delivery._state(reader)
    assert (state, detail) == ("degraded", "nothing but silence for 61 s; is it muted?")


def test_a_lost_source_is_reconnecting_and_says_why(tmp_path: Path) -> None:
    lost = 0

    def samples() -> Generator[Sample, None, None]:
        nonlocal lost
        yield Picture(_IMAGE, (4, 4), Clock().now_ns())
        lost += 1
        if lost == 1:
            raise SourceLostError("the cable is out")

    with running(_deliver(samples), None, tmp_path, policy=Policy.LIVE) as source:
        assert not source.get(Frame).discontinuity
        assert source.until_state("reconnecting").detail == "the cable is out"
        assert source.get(Frame).discontinuity
        source.get(End)


def test_gaps_between_pictures_are_counted(tmp_path: Path) -> None:
    def samples() -> Generator[Sample, None, None]:
        at_ns = Clock().now_ns()
        for number in range(60):
            at_ns += 400 * _MS if number in {30, 45} else 40 * _MS + number % 3 * _MS
            yield Picture(_IMAGE, (4, 4), at_ns)

    with running(_deliver(samples), None, tmp_path, policy=Policy.LIVE) as source:
        source.get(End)
        assert source.until_state("stopped").counters["gaps"] == 2


def test_sound_is_sent_when_its_last_sample_is_due(tmp_path: Path) -> None:
    clock = Clock()

    def samples() -> Generator[Sample, None, None]:
        origin_ns = clock.now_ns()
        sound = np.zeros(4000, np.float32)
        yield Sound(sound, 8000, origin_ns, origin_ns)

    with running(_deliver(samples), None, tmp_path) as source:
        block = source.get(Audio)
        late_ns = clock.now_ns() - block.stamp.captured_at_ns
        assert late_ns >= 499 * _MS
        end = source.get(End)
        assert end.stamp.captured_at_ns - block.stamp.captured_at_ns == 500 * _MS
        assert end.stamp.origin_ns == block.stamp.origin_ns


def test_the_age_of_live_pictures_is_told(tmp_path: Path) -> None:
    def samples() -> Generator[Sample, None, None]:
        yield Picture(_IMAGE, (4, 4), Clock().now_ns() - 300 * _MS)

    with running(_deliver(samples), None, tmp_path, policy=Policy.LIVE) as source:
        source.get(End)
        assert source.until_state("stopped").gauges["age_ms"] == pytest.approx(300, abs=100)
