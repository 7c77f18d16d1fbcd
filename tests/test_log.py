"""Log lines: both formats, and a flood that is held back and counted."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from jack_stream import log
from jack_stream.log import FloodGuard


@pytest.fixture(autouse=True)
def _configured_anew() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class _Time:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _passes(guard: FloodGuard, **line: object) -> dict[str, object] | None:
    try:
        return dict(guard(None, "warning", {"event": "lost", **line}))
    except structlog.DropEvent:
        return None


def test_a_flood_is_cut_off_and_counted_with_the_next_line() -> None:
    now = _Time()
    guard = FloodGuard(at_once=3, period_s=60, now_s=now)
    passed = [line for _ in range(50) if (line := _passes(guard)) is not None]
    assert len(passed) == 3
    assert passed[-1]["note"] == "no more of these for 60 s"
    now.now_s += 61
    again = _passes(guard)
    assert again is not None
    assert again["suppressed"] == 47
    assert "suppressed" not in (_passes(guard) or {})


def test_other_causes_are_heard_meanwhile() -> None:
    guard = FloodGuard(at_once=1, period_s=60)
    assert _passes(guard, process="camera.door")
    assert not _passes(guard, process="camera.door")
    assert _passes(guard, process="camera.yard")
    assert _passes(guard, stream="door")
    assert _passes(guard, event="found")


def test_ever_new_causes_take_no_memory() -> None:
    guard = FloodGuard()
    for number in range(3000):
        assert _passes(guard, event=f"cause {number}")
    assert len(guard._tallies) <= 1024


def test_json_lines_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("json")
    for _ in range(30):
        structlog.get_logger().warning("source lost", process="camera.door", cause='a "quote"\n')
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == 10
    assert lines[0]["level"] == "warning"
    assert lines[0]["event"] == "source lost"
    assert lines[0]["cause"] == 'a "quote"\n'
    assert "timestamp" in lines[0]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("text")
    structlog.get_logger().info("running", process="inference")
    assert "running" in (said := capsys.readouterr().err)
    assert "process=inference" in said
