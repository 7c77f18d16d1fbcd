"""Hops widen under load and narrow when there is room, within their limits, without flutter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jack_stream.errors import ConfigError
from jack_stream.inference.pace import Pace
from jack_stream.inference.queue import Job
from jack_stream.testing import FakeClock
from jack_stream.window.spec import WindowSpec
from tests.inference.streams import FakeAnalyzer, FakeModel, S, window

SPEC = WindowSpec(4 * S, S, ("frame",), S)


class _House:
    """Streams with a window each second, and a machine that takes as long as it is told."""

    def __init__(self, costs: dict[str, float], widest_s: float | None = 4.0) -> None:
        self.costs = costs
        self.clock = FakeClock()
        self.looked: dict[str, list[int]] = {name: [] for name in costs}
        self._analyzers = {name: FakeAnalyzer(spec=SPEC) for name in costs}
        lanes: dict[Any, float | None] = dict.fromkeys(self._analyzers.items(), widest_s)
        self.pace = Pace(lanes, self.clock.now_ns())
        self._index = 0

    def live(self, seconds: int, *, silent: tuple[str, ...] = ()) -> None:
        for _ in range(seconds):
            for name, analyzer in self._analyzers.items():
                if name in silent:
                    continue
                seen = replace(window({}, 0, S, stream=name), index=self._index)
                job = Job(seen, analyzer, self.clock.now_ns())
                if self.pace.wants(job):
                    self.looked[name].append(self._index)
                    self.pace.charge(job, self.costs[name])
            self._index += 1
            self.clock.advance(1.0)
            self.pace.adjust(self.clock.now_ns())

    @property
    def hops(self) -> dict[str, float]:
        return {key.split(".")[1]: hop for key, hop in self.pace.gauges().items()}


def test_with_room_every_window_is_looked_at() -> None:
    house = _House({"a": 0.3, "b": 0.3})
    house.live(20)
    assert house.hops == {"a": 1.0, "b": 1.0}
    assert house.looked["a"] == list(range(20))
    assert set(house.pace.counters().values()) == {0}


def test_hops_widen_alike_until_the_machine_can_do_it_and_stay_on_the_grid() -> None:
    house = _House(dict.fromkeys("abcd", 0.4))
    house.live(20)
    assert house.hops == dict.fromkeys("abcd", 2.0)
    for looked in house.looked.values():
        assert looked[-5:] == [10, 12, 14, 16, 18]
    assert house.pace.counters()["windows_skipped.a.fake"] == 20 - len(house.looked["a"])


def test_hops_narrow_again_when_there_is_room() -> None:
    house = _House(dict.fromkeys("abcd", 0.4))
    house.live(20)
    house.costs = dict.fromkeys("abcd", 0.05)
    house.live(40)
    assert house.hops == dict.fromkeys("abcd", 1.0)


@pytest.mark.parametrize("cost_s", [0.2, 0.22, 0.24, 0.26, 0.3, 0.35, 0.5, 0.7])
def test_they_do_not_flutter_under_a_steady_load(cost_s: float) -> None:
    house = _House(dict.fromkeys("abcd", cost_s))
    house.live(40)
    settled = house.hops
    for _ in range(30):
        house.live(2)
        assert house.hops == settled


def test_no_hop_is_widened_beyond_its_limit() -> None:
    house = _House({"a": 5.0, "b": 5.0}, widest_s=3.0)
    house.live(30)
    assert house.hops == {"a": 3.0, "b": 3.0}
    house = _House({"a": 5.0}, widest_s=None)
    house.live(30)
    assert house.hops == {"a": 1.0}


def test_the_first_window_in_which_all_is_new_widens_nothing_nor_does_one_that_was_slow() -> None:
    house = _House({"a": 8.0})
    house.live(1)
    house.costs = {"a": 0.3}
    house.live(6)
    house.costs = {"a": 9.0}
    house.live(1)
    house.costs = {"a": 0.3}
    house.live(6)
    assert house.hops == {"a": 1.0}


def test_what_ended_makes_room() -> None:
    house = _House(dict.fromkeys("abcd", 0.3))
    house.live(20)
    assert house.hops["a"] == 2.0
    house.live(60, silent=("b", "c", "d"))
    assert house.hops["a"] == 1.0


def test_a_limit_below_the_hop_is_refused() -> None:
    analyzer: Any = FakeAnalyzer(spec=SPEC, model=FakeModel("slow"))
    with pytest.raises(ConfigError, match=r"max_hop_s = 0.5 of slow is less than its hop of 1 s"):
        Pace({("door", analyzer): 0.5}, 0)
    assert Pace({("door", analyzer): 2.9}, 0).gauges() == {"hop_s.door.slow": 1.0}
