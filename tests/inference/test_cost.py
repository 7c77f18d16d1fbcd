"""How many windows are taken up at once follows from what they were measured to cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.inference.analyzer import Step
from jack_stream.inference.cost import Cost, Curve
from tests.inference.streams import FakeModel

SIZES = (1, 2, 4, 8, 16, 32)
MODEL: Any = FakeModel()
ONE, OTHER = Step(MODEL, "one", dict), Step(MODEL, "other", dict)


def _cost(seconds: Callable[[int], float]) -> Cost:
    """Of windows of one row."""
    cost = Cost()
    for size in SIZES:
        cost.observe(ONE, size, seconds(size))
    cost.observe_window({ONE: 1})
    for _ in range(50):
        cost.observe_window({ONE: 1})
    return cost


def test_where_cost_grows_with_the_number_each_goes_alone_and_none_waits() -> None:
    cost = _cost(lambda n: 0.1 * n)
    assert [cost.best_size(waiting) for waiting in (1, 4, 16, 40)] == [1, 1, 1, 1]
    assert cost.patience_s(1) == 0


def test_where_more_cost_nothing_all_go_at_once_and_a_short_wait_pays() -> None:
    cost = _cost(lambda _: 0.1)
    assert [cost.best_size(waiting) for waiting in (1, 4, 16, 40)] == [1, 4, 16, 32]
    assert cost.patience_s(1) == pytest.approx(0.05)
    assert cost.patience_s(32) == 0


def test_with_a_share_that_does_not_grow_more_are_taken_up_the_more_wait() -> None:
    """In batches of n, m windows of cost a + b n take least in the mean at n = sqrt(a m / b)."""
    cost = _cost(lambda n: 0.1 + 0.1 * n)
    sizes = [cost.best_size(waiting) for waiting in (1, 4, 16, 32)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert 2 <= sizes[2] <= 6


@given(st.integers(1, 40), st.floats(0, 1, allow_subnormal=False), st.floats(1e-3, 1))
def test_the_best_size_is_never_slower_than_one_by_one(waiting: int, a: float, b: float) -> None:
    cost = _cost(lambda n: a + b * n)
    size = cost.best_size(waiting)
    assert 1 <= size <= min(waiting, 32)
    mean = cost.seconds(size) * (waiting / size + 1) / 2
    assert mean <= cost.seconds(1) * (waiting + 1) / 2 + 1e-9


def test_the_parts_of_a_window_add_up() -> None:
    cost = Cost()
    cost.observe(ONE, 1, 0.1)
    cost.observe(OTHER, 16, 0.8)
    for _ in range(60):
        cost.observe_window({ONE: 1, OTHER: 16})
    assert cost.seconds(1) == pytest.approx(0.9, rel=1e-3)
    assert cost.seconds(2) == pytest.approx(1.8, rel=1e-3)


def test_nothing_is_known_of_what_was_never_measured() -> None:
    assert Curve().seconds(3) == 0
    assert Cost().best_size(5) == 1
    assert Cost().patience_s(1) == 0


def test_a_machine_that_becomes_slower_is_slower_at_every_size() -> None:
    curve = Curve()
    for size in (1, 8):
        curve.observe(size, 0.1 * size)
    for _ in range(60):
        curve.observe(1, 0.4)
    assert curve.seconds(1) == pytest.approx(0.4, rel=0.05)
    assert curve.seconds(8) > 1.5
    curve.observe(1, 400.0)
    assert curve.seconds(1) < 0.5, "one outlier moves it little"
