import threading

import pytest

from jack_stream.clock import NS_PER_S
from jack_stream.testing import FakeClock


def test_it_moves_only_when_told() -> None:
    clock = FakeClock(100)
    assert [clock.now_ns(), clock.now_ns()] == [100, 100]
    clock.advance(1.5, ns=7)
    assert clock.now_ns() == 107 + 3 * NS_PER_S // 2


def test_it_never_moves_back() -> None:
    with pytest.raises(ValueError, match="moved back by 1 ns"):
        FakeClock().advance(ns=-1)


def test_another_thread_can_wait_for_it() -> None:
    clock = FakeClock(0)
    came: list[bool] = []
    waiter = threading.Thread(target=lambda: came.append(clock.wait_until(10, timeout_s=10)))
    waiter.start()
    clock.advance(ns=10)
    waiter.join()
    assert came == [True]
    assert not clock.wait_until(11, timeout_s=0)
