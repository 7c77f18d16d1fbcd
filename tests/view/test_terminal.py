"""The live view, drawn into text."""

from __future__ import annotations

import pytest
from rich.console import Console

from jack_stream.view.terminal import Board
from jack_stream.wire.messages import Health, Stamp, State
from tests.events.making import alert, event


def _drawn(board: Board, width: int = 160) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(board.render())
    return captured.get()


def _health(process: str = "camera.door", state: State = "running", detail: str = "") -> Health:
    counters = {"frames": 90, "dropped_superseded": 3, "lost": 4, "received": 50}
    return Health(Stamp("door", 0, 1, "cafe0001"), process, state, counters, {"fps": 24.96}, detail)


def test_before_the_first_event_it_says_that_it_waits() -> None:
    assert "waiting for the first event" in _drawn(Board())


def test_each_person_has_a_line_with_a_bar_per_emotion() -> None:
    board = Board()
    board.event(event(person=1))
    board.event(event(1, person=2, label="sad", probabilities={"happy": 0.0, "sad": 1.0}))
    board.event(event(0, person=None, method="vaanet"))
    lines = [line for line in _drawn(board).splitlines() if "door" in line]
    people = ("person 1", "person 2", "scene")
    assert [who for line in lines for who in people if who in line] == [*people]
    assert "happy █████████    75%" in lines[0]
    assert "sad ████████████100%" in lines[1]
    assert "15 ms" in lines[0]


def test_untrained_weights_can_not_be_overlooked() -> None:
    board = Board()
    board.event(event())
    assert "UNTRAINED" not in _drawn(board)
    board.event(event(person=2, trained=False))
    drawn = _drawn(board)
    assert "UNTRAINED WEIGHTS: THESE NUMBERS ARE NOISE, NOT READINGS" in drawn
    assert "happy (untrained)" in drawn


def test_what_is_wrong_with_a_window_is_said() -> None:
    board = Board()
    board.event(event(degraded=("audio missing", "frame lost")))
    assert "audio missing; frame lost" in _drawn(board, 200)


def test_who_has_gone_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("jack_stream.view.terminal.time.monotonic", lambda: now_s)
    board = Board()
    board.event(event(person=1))
    now_s = 109.0
    board.event(event(person=2))
    assert "person 1" in _drawn(board)
    now_s = 111.0
    drawn = _drawn(board)
    assert "person 1" not in drawn
    assert "person 2" in drawn
    now_s = 120.0
    assert "nobody is there" in _drawn(board)


def test_an_alert_is_shown_from_its_beginning_to_its_end() -> None:
    board = Board()
    board.event(event())
    board.alert(alert())
    board.alert(alert(1, person=2))
    board.alert(alert(2, rule="[bold]", person=None))
    drawn = _drawn(board)
    assert "ALERT unhappy: door, person 1, sad + angry 75%, since " in drawn
    assert "ALERT [bold]: door, scene" in drawn
    board.alert(alert(3, state="ended", reason="below"))
    drawn = _drawn(board)
    assert "ALERT unhappy: door, person 1" not in drawn
    assert "ALERT unhappy: door, person 2" in drawn


def test_a_retained_state_is_shown_with_its_time_until_the_stream_speaks() -> None:
    board = Board()
    board.event(event(person=1, retained=True))
    board.event(event(person=2, retained=True))
    board.event(event(person=None, stream="hall", method="vaanet", retained=True))
    assert _drawn(board, 200).count("as of 1970-01-01") == 3
    board.event(event(5, person=3))
    drawn = _drawn(board, 200)
    assert [who for who in ("person 1", "person 2", "person 3") if who in drawn] == ["person 3"]
    assert drawn.count("as of 1970-01-01") == 1


def test_processes_are_shown_with_state_rate_and_drops() -> None:
    board = Board()
    board.health(_health())
    board.health(_health("pose.door", "reconnecting", "died (exit code -9); again in 0.5 s"))
    drawn = _drawn(board)
    (camera,) = [line for line in drawn.splitlines() if "camera.door" in line]
    assert camera.split() == ["camera.door", "running", "25.0", "7"]
    assert "died (exit code -9); again in 0.5 s" in drawn
    board.show_processes = False
    assert "camera.door" not in _drawn(board)


def test_names_from_the_wire_are_no_markup() -> None:
    board = Board()
    board.event(event(label="[red]angry[/nothing]"))
    board.health(_health(detail="[/] http://[::1]:80 [bold"))
    drawn = _drawn(board, 200)
    assert "[red]angry[/nothing]" in drawn
    assert "http://[::1]:80" in drawn
