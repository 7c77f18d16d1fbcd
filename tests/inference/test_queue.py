"""Windows wait in order, within bounds, and no stream pushes another's out."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.wire.policy import Policy
from tests.inference.streams import FakeAnalyzer, FakeModel, S, window

GO_ON = threading.Event()


def _job(stream: str, at: int, analyzer: FakeAnalyzer) -> Job:
    return Job(window({}, at * S, S, stream=stream), analyzer, at)


def _next(queue: WindowQueue, timeout_s: float = 0.0) -> Job | None:
    """The one window whose turn it is."""
    if not queue.wait(timeout_s):
        return None
    turn = queue.turn()
    assert turn is not None
    (job,) = queue.take(turn.model, 1)
    queue.charge(turn.model, 0.1)
    return job


def _taken(queue: WindowQueue) -> list[tuple[str, int]]:
    taken = []
    while (job := _next(queue)) is not None:
        taken.append((job.window.stream, job.ready_at_ns))
    return taken


@pytest.fixture
def analyzer() -> FakeAnalyzer:
    return FakeAnalyzer()


def test_streams_take_turns_in_the_order_of_their_first_windows(analyzer: FakeAnalyzer) -> None:
    queue = WindowQueue(Policy.LIVE)
    for stream, at in (("a", 0), ("a", 1), ("b", 2)):
        queue.put(_job(stream, at, analyzer), GO_ON)
    assert len(queue) == 3
    assert _taken(queue) == [("a", 0), ("b", 2), ("a", 1)]
    assert queue.shed == {}


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=5),
    st.integers(1, 3),
    st.integers(5, 40),
)
def test_under_overload_all_are_served_alike_and_nothing_old(
    rates: list[int], limit: int, rounds: int
) -> None:
    """Each stream has new windows between any two that are taken, some many more than others."""
    analyzer, queue = FakeAnalyzer(), WindowQueue(Policy.LIVE, limit=limit)
    served: Counter[str] = Counter()
    put = 0
    for at in range(rounds):
        for number, rate in enumerate(rates):
            for _ in range(rate):
                queue.put(_job(str(number), at, analyzer), GO_ON)
                put += 1
        job = _next(queue)
        assert job is not None
        served[job.window.stream] += 1
        assert at - job.ready_at_ns <= limit
    counts = [served[str(number)] for number in range(len(rates))]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) + sum(queue.shed.values()) + len(queue) == put


def test_a_busy_stream_sheds_its_own_oldest_windows_only(analyzer: FakeAnalyzer) -> None:
    queue = WindowQueue(Policy.LIVE, limit=2)
    queue.put(_job("calm", 0, analyzer), GO_ON)
    for at in range(1, 8):
        queue.put(_job("busy", at, analyzer), GO_ON)
    assert queue.shed == {"busy": 5}
    assert _taken(queue) == [("calm", 0), ("busy", 6), ("busy", 7)]


def test_methods_of_one_stream_do_not_shed_each_others(analyzer: FakeAnalyzer) -> None:
    other = FakeAnalyzer(model=FakeModel("other"))
    queue = WindowQueue(Policy.LIVE, limit=1)
    for at, looker in enumerate((analyzer, other, analyzer, other)):
        queue.put(_job("a", at, looker), GO_ON)
    assert queue.shed == {"a": 2}
    assert _taken(queue) == [("a", 2), ("a", 3)]


def test_a_lossless_queue_makes_the_giver_wait_and_sheds_nothing(analyzer: FakeAnalyzer) -> None:
    queue = WindowQueue(Policy.LOSSLESS, limit=2)
    given: list[int] = []

    def give() -> None:
        for at in range(20):
            queue.put(_job("a", at, analyzer), GO_ON)
            given.append(at)

    giver = threading.Thread(target=give)
    giver.start()
    taken = []
    for _ in range(20):
        job = _next(queue, 5.0)
        assert job is not None
        taken.append(job.ready_at_ns)
        assert len(given) <= len(taken) + 2
    giver.join(5.0)
    assert not giver.is_alive()
    assert taken == list(range(20))
    assert queue.shed == {}


def test_a_giver_that_waits_gives_up_when_all_stops(analyzer: FakeAnalyzer) -> None:
    queue, stop = WindowQueue(Policy.LOSSLESS, limit=1), threading.Event()
    queue.put(_job("a", 0, analyzer), stop)
    giver = threading.Thread(target=queue.put, args=(_job("a", 1, analyzer), stop))
    giver.start()
    stop.set()
    giver.join(5.0)
    assert not giver.is_alive()
    assert _taken(queue) == [("a", 0)]


def test_an_empty_queue_answers_after_its_time(analyzer: FakeAnalyzer) -> None:
    assert _next(WindowQueue(Policy.LIVE), 0.01) is None


def test_who_waits_is_woken_by_a_window(analyzer: FakeAnalyzer) -> None:
    queue = WindowQueue(Policy.LIVE)
    found: list[Job | None] = []
    taker = threading.Thread(target=lambda: found.append(_next(queue, 30.0)))
    taker.start()
    queue.put(_job("a", 3, analyzer), GO_ON)
    taker.join(5.0)
    assert [job.ready_at_ns for job in found if job] == [3]
