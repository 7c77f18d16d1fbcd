"""Messages of several streams become each analyzer's windows, until all have ended."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from jack_stream.inference.intake import Intake
from jack_stream.inference.pace import Pace
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.window.spec import WindowSpec
from jack_stream.wire.messages import End, Frame, Health, Message
from jack_stream.wire.policy import Policy
from tests.inference.streams import (
    FakeAnalyzer,
    FakeClock,
    S,
    frame,
    frames_at,
    in_order,
    noise_blocks,
    stamp,
    window,
)


class _Messages:
    """A receiver that has received all it ever will; then it stops the intake."""

    def __init__(self, messages: Iterable[Message], stop: threading.Event) -> None:
        self._left = deque(messages)
        self._stop = stop

    def get(self, _: float) -> Message | None:
        if not self._left:
            self._stop.set()
            return None
        return self._left.popleft()


def _end(at_s: float, stream: str = "door", session: str = "a") -> End:
    return End(stamp(0, round(at_s * S), stream=stream, session=session), "over")


def _run(
    messages: Iterable[Message], analyzers: dict[str, Any], publishers: dict[str, int]
) -> tuple[Intake, list[tuple[str, int, Any]]]:
    queue, stop = WindowQueue(Policy.LIVE, limit=100), threading.Event()
    receiver: Any = _Messages(messages, stop)
    intake = Intake(receiver, analyzers, publishers, queue, FakeClock())
    intake.run(stop)
    jobs = []
    while (turn := queue.turn()) is not None:
        taken = queue.take(turn.model, 1)
        jobs += [(job.window.stream, job.window.index, job.analyzer) for job in taken]
    return intake, jobs


@pytest.fixture
def analyzer() -> FakeAnalyzer:
    return FakeAnalyzer()


def test_every_analyzer_gets_its_own_windows(analyzer: FakeAnalyzer) -> None:
    listener = FakeAnalyzer(spec=WindowSpec(2 * S, S, ("audio",), S))
    door = in_order(frames_at(3.0), noise_blocks(4.0))
    yard = frames_at(2.0, stream="yard", session="b")
    intake, jobs = _run(
        in_order(door, yard, [_end(4.0), _end(2.0, "yard", "b")]),
        {"door": [analyzer, listener], "yard": [analyzer]},
        {"door": 1, "yard": 1},
    )
    assert intake.finished.is_set()
    windows = {
        (stream, looker): [i for s, i, a in jobs if (s, a) == (stream, looker)]
        for stream, looker in (("door", analyzer), ("door", listener), ("yard", analyzer))
    }
    assert list(windows.values()) == [[0, 1, 2, 3], [0, 1, 2], [0, 1]]


def test_it_is_finished_when_all_publishers_of_all_streams_have_ended(
    analyzer: FakeAnalyzer,
) -> None:
    analyzers = {"door": [analyzer], "yard": [analyzer]}
    publishers = {"door": 2, "yard": 1}
    ends: list[Message] = [_end(1, session="a"), _end(1, session="a"), _end(1, "yard", "c")]
    intake, _ = _run(ends, analyzers, publishers)
    assert not intake.finished.is_set()
    intake, _ = _run([*ends, _end(1, session="b")], analyzers, publishers)
    assert intake.finished.is_set()


def test_a_stream_that_is_over_without_an_end_is_not_waited_for(analyzer: FakeAnalyzer) -> None:
    """Its source died and left a session without an end, or never gave anything."""

    class _Quiet(_Messages):
        def get(self, _: float) -> Message | None:
            return self._left.popleft() if self._left else None

    queue, stop = WindowQueue(Policy.LIVE), threading.Event()
    receiver: Any = _Quiet([*frames_at(0.4), _end(1, "yard", "c")], stop)
    analyzers = {"door": [analyzer], "yard": [analyzer]}
    intake = Intake(receiver, analyzers, {"door": 1, "yard": 1}, queue, FakeClock(), over={"door"})
    intake.run(stop)
    assert intake.finished.is_set()


def test_the_windows_before_an_end_are_in_the_queue_when_it_is_finished(
    analyzer: FakeAnalyzer,
) -> None:
    intake, jobs = _run([*frames_at(0.4), _end(0.4)], {"door": [analyzer]}, {"door": 1})
    assert intake.finished.is_set()
    assert [index for _, index, _ in jobs] == [0]


def test_strange_messages_are_counted_and_passed_over(analyzer: FakeAnalyzer) -> None:
    health = Health(stamp(0, 0), "camera.door", "running")
    strange = frame(0, 0, stream="nowhere")
    messages: list[Message] = [health, strange, *frames_at(2.2), strange]
    intake, jobs = _run(messages, {"door": [analyzer]}, {"door": 1})
    assert intake.counters()["unknown_stream"] == 2
    assert len(jobs) == 2


def test_counters_cover_all_analyzers(analyzer: FakeAnalyzer) -> None:
    other = FakeAnalyzer(spec=WindowSpec(S, S // 2, ("frame",), S))
    frames = [f for f in frames_at(2.2) if f.stamp.seq != 30]
    intake, _ = _run([*frames, frames[-1]], {"door": [analyzer, other]}, {"door": 1})
    counters = intake.counters()
    assert counters["used"] == 2 * len(frames)
    assert counters["dropped_double"] == 2
    assert counters["windows"] == 2 + 3
    assert counters["windows_degraded"] == 1 + 2


def test_pictures_are_shrunk_by_their_own_analyzer(analyzer: FakeAnalyzer) -> None:
    class _Small(FakeAnalyzer):
        def shrink(self, frame: Any) -> Any:
            seen.append(frame.stamp.seq)
            return frame

    seen: list[int] = []
    _run(frames_at(0.2), {"door": [analyzer, _Small()]}, {"door": 1})
    assert seen == [0, 1, 2, 3, 4]


def test_an_analyzer_takes_its_own_view_of_a_picture_or_the_picture() -> None:
    class _Looker(FakeAnalyzer):
        def __init__(self, view: Any) -> None:
            super().__init__()
            self.view = view
            self.seen: list[tuple[str, int]] = []

        def shrink(self, frame: Frame) -> Frame:
            self.seen.append((frame.view, frame.stamp.seq))
            return frame

    small, large = _Looker("112"), _Looker("224")
    sent: list[Message] = [replace(one, view="112") for one in frames_at(0.2)]
    sent += [replace(one, view="224") for one in frames_at(0.1)]
    sent += [frame(9, 9 * S)]
    _run(sent, {"door": [small, large]}, {"door": 1})
    assert small.seen == [*(("112", seq) for seq in range(5)), ("", 9)]
    assert large.seen == [*(("224", seq) for seq in range(len(frames_at(0.1)))), ("", 9)]


def test_skipped_windows_never_reach_the_queue_and_the_others_keep_their_numbers(
    analyzer: FakeAnalyzer,
) -> None:
    queue, stop = WindowQueue(Policy.LIVE, limit=100), threading.Event()
    receiver: Any = _Messages([*frames_at(8.2)], stop)
    pace = Pace({("door", analyzer): 2.0}, 0)
    seen = window({}, 0, S)
    pace.wants(Job(seen, analyzer, 0))
    for _ in range(2):
        pace.charge(Job(seen, analyzer, 0), 1.5)
    pace.adjust(3 * S)
    intake = Intake(receiver, {"door": [analyzer]}, {"door": 1}, queue, FakeClock(), pace=pace)
    intake.run(stop)
    turn = queue.turn()
    assert turn is not None
    assert [job.window.index for job in queue.take(turn.model, 9)] == [0, 2, 4, 6]
    assert pace.counters() == {"windows_skipped.door.fake": 4}
    assert pace.gauges() == {"hop_s.door.fake": 2.0}
    assert intake.counters()["windows"] == 8
