"""Which windows are taken up next, how many at once, and when it is waited for more."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest

from jack_stream.inference.analyzer import Ask, Look, Prediction, Step
from jack_stream.inference.cost import Cost
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.inference.scheduler import Scheduler
from jack_stream.testing import FakeClock
from jack_stream.window.spec import Window
from jack_stream.wire.policy import Policy
from tests.inference.streams import MS, ORIGIN, FakeAnalyzer, FakeModel, S, window

STOP = threading.Event()
LOGITS = np.zeros((1, 2), np.float32)


class _Analyzer(FakeAnalyzer):
    """Asks its model about one row per window."""

    def __init__(self, model: Any) -> None:
        super().__init__(model=model)
        self._network = Step(model, "network", lambda rows: {"logits": rows["x"]})

    def look(self, _: Window) -> Look:
        outputs = yield Ask(self._network, {"x": LOGITS})
        return [Prediction(outputs["logits"][0])]


def _cost(model: Any, seconds: dict[int, float]) -> Cost:
    cost = Cost()
    for size, took_s in seconds.items():
        cost.observe(Step(model, "network", dict), size, took_s)
    for _ in range(50):
        cost.observe_window({Step(model, "network", dict): 1})
    return cost


def _job(analyzer: Any, stream: str, at_ns: int = 0, index: int = 0) -> Job:
    return Job(window({}, index * S, S, stream=stream), analyzer, ORIGIN + at_ns)


@pytest.fixture
def model() -> Any:
    return FakeModel("cheap")


CHEAP_TOGETHER = {1: 0.1, 2: 0.1, 4: 0.1, 8: 0.1, 16: 0.1, 32: 0.1}
NEVER_CHEAPER = {1: 0.1, 2: 0.2, 4: 0.4}


def test_windows_of_several_streams_with_one_model_are_answered_together(model: Any) -> None:
    queue = WindowQueue(Policy.LIVE)
    for number in range(5):
        queue.put(_job(_Analyzer(model), str(number), number * S), STOP)
    scheduler = Scheduler(queue, FakeClock(), {model: _cost(model, CHEAP_TOGETHER)})
    batch = scheduler.next(0.0)
    assert batch is not None
    assert [job.window.stream for job in batch.jobs] == list("01234")
    assert all(isinstance(task.outcome, list) for task in batch.tasks)
    assert scheduler.next(0.0) is None


def test_where_that_saves_nothing_they_are_answered_one_by_one(model: Any) -> None:
    queue = WindowQueue(Policy.LIVE)
    for number in range(3):
        queue.put(_job(_Analyzer(model), str(number)), STOP)
    scheduler = Scheduler(queue, FakeClock(), {model: _cost(model, NEVER_CHEAPER)})
    assert [len(batch.jobs) for _ in range(3) if (batch := scheduler.next(0.0))] == [1, 1, 1]


def test_nothing_is_waited_for_where_windows_are_rare(model: Any) -> None:
    """Even if more at once cost nothing: under a light load none would come in time."""
    queue = WindowQueue(Policy.LIVE)
    queue.put(_job(_Analyzer(model), "a", 0), STOP)
    queue.put(_job(_Analyzer(model), "b", S), STOP)
    clock = FakeClock()
    scheduler = Scheduler(queue, clock, {model: _cost(model, CHEAP_TOGETHER)})
    batch = scheduler.next(0.0)
    assert batch is not None
    assert batch.started_ns == batch.free_ns


def test_a_window_that_comes_soon_is_waited_for(model: Any) -> None:
    class _Arriving(WindowQueue):
        """Waiting brings the next window, and passes the time until then."""

        def wait_for_another(self, timeout_s: float) -> None:
            assert timeout_s > 0
            clock.advance(0.001)
            if coming:
                self.put(coming.pop(), STOP)

    clock = FakeClock()
    queue, coming = _Arriving(Policy.LIVE), [_job(_Analyzer(model), "c", 20 * MS)]
    queue.put(_job(_Analyzer(model), "a", 0), STOP)
    queue.put(_job(_Analyzer(model), "b", 10 * MS), STOP)
    scheduler = Scheduler(queue, clock, {model: _cost(model, CHEAP_TOGETHER)})
    batch = scheduler.next(0.0)
    assert batch is not None
    assert len(batch.jobs) == 3
    assert 0 < batch.started_ns - batch.free_ns < 34 * MS, "and not for longer than it can gain"


def test_nobody_waits_while_another_model_has_work(model: Any) -> None:
    other: Any = FakeModel("other")
    queue = WindowQueue(Policy.LIVE)
    for at, one in ((0, model), (MS, model), (2 * MS, other)):
        queue.put(_job(_Analyzer(one), f"{one.method}{at}", at), STOP)
    costs = {one: _cost(one, CHEAP_TOGETHER) for one in (model, other)}
    scheduler = Scheduler(queue, FakeClock(), costs)
    sizes = [len(batch.jobs) for _ in range(2) if (batch := scheduler.next(0.0))]
    assert sorted(sizes) == [1, 2]


def test_methods_share_the_machine_by_their_weights() -> None:
    """Both always have windows; one costs three times as much per window and has weight 2."""
    cheap, dear = FakeModel("cheap"), FakeModel("dear")
    seconds: dict[str, float] = {"cheap": 0.1, "dear": 0.3}
    queue = WindowQueue(Policy.LIVE, weights={"dear": 2.0})
    analyzers = [_Analyzer(cheap), _Analyzer(dear)]
    had: Counter[str] = Counter()
    for turn in range(300):
        for one in analyzers:
            queue.put(_job(one, "a", index=turn), STOP)
        waiting = queue.turn()
        assert waiting is not None
        method = waiting.model.method
        queue.take(waiting.model, 1)
        queue.charge(waiting.model, seconds[method])
        had[method] += round(seconds[method] * 10)
    assert had["dear"] / had["cheap"] == pytest.approx(2, rel=0.05)


def test_who_had_nothing_to_do_has_no_claim_to_the_time_it_did_not_use() -> None:
    busy, idle = FakeModel("busy"), FakeModel("idle")
    queue, looker, sleeper = WindowQueue(Policy.LIVE), _Analyzer(busy), _Analyzer(idle)

    def serve() -> str:
        waiting = queue.turn()
        assert waiting is not None
        queue.take(waiting.model, 1)
        queue.charge(waiting.model, 1.0)
        return waiting.model.method

    for index in range(50):
        queue.put(_job(looker, "a", index=index), STOP)
        assert serve() == "busy"
    served = []
    for index in range(50, 60):
        queue.put(_job(looker, "a", index=index), STOP)
        queue.put(_job(sleeper, "a", index=index), STOP)
        served.append(serve())
    assert Counter(served) == {"busy": 5, "idle": 5}


def test_within_a_round_the_window_that_is_due_first_goes_first(model: Any) -> None:
    queue, looker = WindowQueue(Policy.LIVE), _Analyzer(model)
    for stream, index in (("late", 5), ("early", 3), ("early", 4), ("middle", 4)):
        queue.put(_job(looker, stream, index=index), STOP)
    order: list[str] = []
    while (waiting := queue.turn()) is not None:
        order += [job.window.stream for job in queue.take(waiting.model, 1)]
    assert order == ["early", "middle", "late", "early"]
