"""The processes' parts become one trace that Perfetto and chrome://tracing can read."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream import trace
from jack_stream.clock import Clock
from jack_stream.config import loads
from jack_stream.errors import ConfigError
from jack_stream.events.publisher import EventPublisher
from jack_stream.inference import tracing
from jack_stream.inference.analyzer import Prediction
from jack_stream.inference.process import Inference
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.inference.scheduler import Scheduler
from jack_stream.service.traces import STARTED, collected, joined
from jack_stream.trace import Part, Span
from jack_stream.wire.policy import Policy
from tests.inference.streams import MS, FakeAnalyzer, FakeModel, S, frames_at, window
from tests.service.trace_format import check, of_name


def _part(process: str, pid: int, offset_ns: int, *spans: Span) -> Part:
    return Part(process, pid, offset_ns, 0, {span.thread: "MainThread" for span in spans}, [*spans])


def _work(name: str, start_ns: int, end_ns: int, **args: Any) -> Span:
    return Span("X", name, "message", start_ns, end_ns, 1, args)


@given(st.integers(-(10**18), 10**18), st.integers(-(10**18), 10**18))
def test_processes_whose_clocks_differ_are_put_on_one_line(one_ns: int, two_ns: int) -> None:
    """Both began at 5 us of the monotonic clock; what their own clocks said does not matter."""
    parts = [
        _part("camera", 7, one_ns, _work("a", one_ns + 5000, one_ns + 7000)),
        _part("pose", 8, two_ns, _work("b", two_ns + 5000, two_ns + 6500)),
    ]
    whole = joined(parts, one_ns)
    check(whole)
    assert [(e["ts"], e["dur"]) for name in "ab" for e in of_name(whole, name)] == [
        (0, 2.0),
        (0, 1.5),
    ]
    assert whole["otherData"]["began_at_ns"] == str(one_ns + 5000)


def test_a_process_that_left_nothing_is_marked() -> None:
    def start(name: str, number: int) -> Span:
        about: dict[str, Any] = {"process": name, "number": number}
        return Span("i", STARTED, "process", 10, 10, 1, about)

    parts = [
        _part("supervisor", 6, 0, start("camera", 7), start("pose", 8), start("journal", 9)),
        _part("pose", 8, 0, _work("b", 20, 30)),
        _part("journal", 9, 0),
    ]
    whole = joined(parts, 0)
    check(whole)
    assert of_name(whole, "no trace of camera (7): it was killed")
    assert sum("no trace" in event["name"] for event in whole["traceEvents"]) == 1


def test_arrows_lead_from_the_picture_through_the_pose_to_the_event() -> None:
    sample, key = "door 99", "door bpm-gcn 1"
    parts = [
        _part("camera", 1, 0, _work("send frame", 100, 200, sample=sample),
              _work("send frame", 300, 310, sample="door 100")),
        _part("pose", 2, 0, _work("send poses", 250, 260, sample=sample)),
        _part("inference", 3, 0, _work("window ready", 400, 410, sample=sample, window=key),
              _work("publish events", 500, 510, window=key)),
    ]  # fmt: skip
    whole = joined(parts, 0)
    check(whole)
    flow = [(e["ph"], e["pid"], e["ts"]) for e in whole["traceEvents"] if e["ph"] in "stf"]
    assert flow == [("s", 1, 0.0), ("t", 2, 0.15), ("t", 3, 0.3), ("f", 3, 0.4)]


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[EventPublisher]:
    with EventPublisher(f"ipc://{tmp_path}/events") as publisher:
        yield publisher


def test_a_windows_life_is_what_its_events_latency_says(
    tmp_path: Path, publisher: EventPublisher
) -> None:
    logits, clock = np.log(np.array([0.25, 0.75], np.float32)), Clock()
    analyzer = FakeAnalyzer(lambda _: [Prediction(logits)], model=FakeModel())
    newest_ns = clock.now_ns() - 40 * MS
    windows = [
        window({"frame": frames_at(1.0, origin=newest_ns - S)}, 0, S, origin=newest_ns - S - at)
        for at in (0, 7 * MS)
    ]
    with trace.recording(tmp_path, "inference", clock):
        queue = WindowQueue(Policy.LIVE)
        for one in windows:
            job = Job(one, analyzer, clock.now_ns())
            with tracing.ready(job):
                queue.put(job, threading.Event())
        inference, scheduler = Inference(publisher, clock), Scheduler(queue, clock)
        events = []
        while len(queue) and (batch := scheduler.next(0)) is not None:
            events += inference.handle(batch)
    (part,) = (msgspec.json.decode(p.read_bytes(), type=Part) for p in tmp_path.glob("*.json"))
    whole = joined([part], clock.offset_ns)
    check(whole)
    assert len(events) == 2
    assert len(of_name(whole, "window ready")) == len(of_name(whole, "publish events")) == 2
    for event in events:
        key = f"door {event.model.method} {event.window.start_ns}"
        (life,) = (span for span in part.spans if span.phase == "b" and span.id == key)
        latency = event.latency
        assert [(end_ns - start_ns) / MS for _, start_ns, end_ns in life.stages] == pytest.approx(
            [latency.capture_to_window_ms, latency.queue_ms, latency.batch_ms,
             latency.inference_ms, latency.publish_ms]
        )  # fmt: skip
        assert (life.end_ns - life.start_ns) / MS == pytest.approx(latency.total_ms)
        assert life.end_ns == event.published_at_ns
        assert all(a[2] == b[1] for a, b in itertools.pairwise(life.stages))


def _config(path: Path) -> Any:
    return loads(f'runtime.trace = "{path}"\n[[streams]]\nname = "door"\n[streams.scene]\n', "x")


def test_a_run_leaves_one_file_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    config = _config(path)
    assert config.trace_parts == tmp_path / "out.json.parts"
    with collected(config), trace.recording(config.trace_parts, "camera", Clock()):
        trace.instant("x", "y")
    check(json.loads(path.read_text()))
    assert path.stat().st_mode & 0o077 == 0
    assert not config.trace_parts.exists()


def test_a_place_that_can_not_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"runtime\.trace: .* can't be written"):  # noqa: SIM117
        with collected(_config(tmp_path / "file" / "out.json")):
            pytest.fail("it was started")
