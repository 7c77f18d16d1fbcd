"""``jack-stream events --plot``: the wanted events as a picture, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from jack_stream.cli.app import app
from jack_stream.errors import UsageError
from jack_stream.events.journal import Journal
from jack_stream.events.schema import AnyEvent, Event
from tests.events.making import alert, event

_SECOND_NS = 10**9
_START_S = 1_772_352_000.0  # 2026-03-01T08:00:00Z


def _event(seq: int, person: int, *, trained: bool = True) -> Event:
    at_s = _START_S + seq
    stream = ("door", "hall")[person % 2]
    return event(
        seq,
        stream=stream,
        person=person,
        start_s=at_s,
        trained=trained,
        published_at_ns=round(at_s + 2) * _SECOND_NS,
    )


def _journal(path: Path, events: Sequence[AnyEvent]) -> Path:
    with Journal(path) as journal:
        journal.keep(events, {})
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    events = [_event(seq, person, trained=person != 3) for seq in range(6) for person in (1, 2, 3)]
    return _journal(tmp_path / "events.sqlite", events)


def _plot(path: Path, picture: Path, *words: str) -> Result:
    command = ["events", "--journal", str(path), "--plot", str(picture), *words]
    return CliRunner().invoke(app, command)


@pytest.mark.parametrize(
    ("words", "said", "panels"),
    [
        ([], "18 events, 0 alerts, 3 panels", 3),
        (["--stream", "door"], "6 events, 0 alerts, 1 panel", 1),
        (
            ["--since", "2026-03-01T08:00:06Z", "--method", "bpm-gcn"],
            "6 events, 0 alerts, 3 panels",
            3,
        ),
        (["--limit", "2"], "2 events, 0 alerts, 2 panels", 2),
    ],
)
def test_a_panel_for_each_who_was_asked_for(
    words: list[str], said: str, panels: int, path: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "shown.png"
    result = _plot(path, picture, *words)
    assert result.exit_code == 0, result.output
    assert said in result.output
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.shape == (round(120 * (2.2 * panels + 0.8)), 1200, 3)


def test_noise_is_called_noise_in_words_and_in_the_picture(path: Path, tmp_path: Path) -> None:
    def red(stream: str) -> int:
        result = _plot(path, tmp_path / "shown.png", "--stream", stream)
        assert ("UNTRAINED" in result.output) == (stream == "hall")
        image = np.asarray(cv2.imread(str(tmp_path / "shown.png")), int)
        return int((image[..., 2] - image[..., :2].max(axis=2) > 60).sum())

    assert red("hall") > red("door") + 5000


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("a.png", ["--stream", "attic"], "nothing to draw"),
        ("a.png", ["--since", "1h"], "nothing to draw"),
        ("a.png", ["--json"], "choose one"),
        ("a.png", ["--follow"], "leave --follow out"),
        ("a.jpeg2", [], "must end in .png"),
        ("none/a.png", [], "none does not exist"),
    ],
)
def test_what_can_not_be_drawn_is_said(
    name: str, words: list[str], message: str, path: Path, tmp_path: Path
) -> None:
    result = _plot(path, tmp_path / name, *words)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert not (tmp_path / name).exists()


def test_alerts_are_drawn(tmp_path: Path) -> None:
    events = [_event(seq, 2) for seq in range(6)]
    without = _journal(tmp_path / "without.sqlite", events)
    marked = alert(person=2, at_ns=events[3].window.end_ns, window=events[3].window)
    path = _journal(tmp_path / "with.sqlite", [*events, marked])
    assert "6 events, 0 alerts" in _plot(without, tmp_path / "without.png").output
    assert "6 events, 1 alert," in _plot(path, tmp_path / "with.png").output
    plain, shown = (
        np.asarray(cv2.imread(str(tmp_path / name)), int) for name in ("without.png", "with.png")
    )
    assert (np.abs(plain - shown).max(axis=2) > 50).sum() > 300
    of_gait = _plot(path, tmp_path / "of-gait.png", "--method", "bpm-gcn")
    assert "6 events, 1 alert," in of_gait.output
    assert (tmp_path / "of-gait.png").read_bytes() == (tmp_path / "with.png").read_bytes()


def test_a_methods_picture_has_no_alerts_about_others(tmp_path: Path) -> None:
    other = event(method="mart", person=2, start_s=_START_S)
    path = _journal(tmp_path / "events.sqlite", [_event(0, 2), other, alert(person=2)])
    assert "1 event, 0 alerts" in _plot(path, tmp_path / "a.png", "--method", "mart").output


def test_a_crowd_is_too_much_for_one_picture(tmp_path: Path) -> None:
    path = _journal(tmp_path / "events.sqlite", [_event(0, person) for person in range(1, 42)])
    result = _plot(path, tmp_path / "a.png")
    assert isinstance(result.exception, UsageError)
    assert "at most 40" in str(result.exception)
    assert "--stream" in result.exception.hint
