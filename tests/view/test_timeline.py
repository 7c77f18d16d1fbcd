"""The picture of the events."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from jack_stream.view.timeline import draw_timeline, save_timeline
from tests.events.making import alert, event


def _picture(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, np.uint8)


@pytest.mark.parametrize("people", [1, 3])
def test_a_panel_per_person(people: int, tmp_path: Path) -> None:
    events = [
        event(seq, person=person, start_s=float(seq))
        for seq in range(4)
        for person in range(people)
    ]
    save_timeline(events, tmp_path / "a.png")
    image = _picture(tmp_path / "a.png")
    assert image.shape == (round(120 * (2.2 * people + 0.8)), 1200, 3)
    colours = np.unique(image.reshape(-1, 3), axis=0)
    for wanted in ((178, 114, 0), (0, 94, 213)):  # BGR of the first two classes' lines
        assert (colours == wanted).all(axis=1).any()


def test_untrained_readings_are_marked_across_the_panel(tmp_path: Path) -> None:
    save_timeline([event(0), event(1)], tmp_path / "trained.png")
    save_timeline([event(0, trained=False), event(1, trained=False)], tmp_path / "noise.png")
    clean, marked = _picture(tmp_path / "trained.png"), _picture(tmp_path / "noise.png")
    assert clean.shape == marked.shape
    changed = np.abs(clean.astype(int) - marked).max(axis=2) > 20
    assert changed[100:250].mean() > 0.02


def test_devices_begin_at_zero_seconds(tmp_path: Path) -> None:
    """Epoch seconds on the axis could not be read; the picture is the one of a file."""
    save_timeline([event(n, start_s=float(n)) for n in range(3)], tmp_path / "file.png")
    events = [event(n, start_s=1.7e9 + n) for n in range(3)]
    save_timeline(events, tmp_path / "device.png")
    assert _picture(tmp_path / "device.png").shape == _picture(tmp_path / "file.png").shape


def _lines(axis: Any) -> dict[str, tuple[list[float], list[float]]]:
    return {
        line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist())
        for line in map(_as_arrays, axis.get_lines())
    }


def _as_arrays(line: Any) -> Any:
    line.set_data(*(np.asarray(one, float) for one in line.get_data()))
    return line


def test_who_comes_later_stands_later() -> None:
    events = [event(0, start_s=1.7e9), event(9, person=2, start_s=1.7e9 + 9)]
    first, second = (_lines(axis)["happy"] for axis in draw_timeline(events).axes)
    assert (first[0], second[0]) == ([1.0], [10.0])


def test_lines_break_where_nothing_was_said_and_classes_may_change() -> None:
    other = {"happy": 0.5, "calm": 0.5}
    events = [
        *(event(n, start_s=float(n)) for n in (0, 1, 4)),
        event(0, session="cafe0002", start_s=5.0, probabilities=other),
    ]
    lines = _lines(draw_timeline(events).axes[0])
    assert lines["happy"][0] == [1, 2, 5, 5, 6]
    np.testing.assert_array_equal(lines["happy"][1], [0.75, 0.75, np.nan, 0.75, 0.5])
    np.testing.assert_array_equal(lines["calm"][1], [*[np.nan] * 4, 0.5])


def test_each_of_many_classes_looks_different() -> None:
    many = {f"class {n}": 1 / 24 for n in range(24)}
    (axis,) = draw_timeline([event(0, probabilities=many)]).axes
    looks = {(line.get_color(), line.get_linestyle()) for line in axis.get_lines()}
    assert len(looks) == 24


def test_noise_among_what_was_learned_is_hatched() -> None:
    events = [event(n, trained=n != 5, start_s=3.0 * n) for n in range(8)]
    (axis,) = draw_timeline(events).axes
    assert [text.get_text() for text in axis.texts] == ["UNTRAINED: NOISE where hatched"]
    (hatched,) = [patch for patch in axis.patches if patch.get_hatch()]
    assert (hatched.get_x(), hatched.get_width()) == (15, 2)


def test_alerts_are_marked_beside_whom_they_speak_of() -> None:
    events = [event(n, person=who, start_s=float(n)) for n in range(9) for who in (1, 2)]
    began = alert(at_ns=5 * 10**9, window=events[6].window)
    ended = alert(1, at_ns=8 * 10**9, window=events[12].window, state="ended", reason="below")
    first, second = draw_timeline(events, alerts=[began, ended]).axes
    marks = [line for line in first.get_lines() if len(set(line.get_xdata())) == 1]
    assert [(mark.get_xdata()[0], mark.get_linestyle()) for mark in marks] == [(5, "-"), (8, ":")]
    assert [text.get_text() for text in first.texts] == [" alert: unhappy"]
    assert not second.texts
    assert len(second.get_lines()) == 2


def test_times_of_day_are_local() -> None:
    events = [event(n, start_s=1.7e9 + 60 * n) for n in range(5)]
    figure = draw_timeline(events, clock=True)
    figure.canvas.draw()
    shown = {label.get_text() for label in figure.axes[0].get_xticklabels()}
    assert datetime.fromtimestamp(1.7e9 + 100).astimezone().strftime("%H:%M") in shown
    assert figure.axes[0].get_xlabel().startswith("local time")


def test_no_events_make_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        save_timeline([], tmp_path / "a.png")
