"""The machine's clock may be set while a process runs; its time line does not notice."""

from __future__ import annotations

import time

import pytest

from jack_stream.clock import Clock


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_clock_that_is_set_moves_no_time_line(
    step_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    before_ns, real_ns = clock.now_ns(), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + step_s * 10**9)
    assert 0 <= clock.now_ns() - before_ns < 60 * 10**9
    assert abs(Clock().now_ns() - before_ns - step_s * 10**9) < 60 * 10**9, "a new one does"
