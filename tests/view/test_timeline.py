"""The picture of the events."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from jack_stream.view.timeline import save_timeline
from tests.events.making import event


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


def test_no_events_make_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        save_timeline([], tmp_path / "a.png")
