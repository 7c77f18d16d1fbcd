"""What people read after a run."""

from __future__ import annotations

from jack_stream.view.summary import summarise
from tests.events.making import event


def test_no_events_are_a_sentence_that_says_why() -> None:
    assert summarise([]).startswith("No events: nobody was there long enough")


def test_a_line_per_stream_method_and_person() -> None:
    said = summarise(
        [
            event(2, start_s=4.0, label="sad", confidence=0.5),
            event(0, start_s=0.0),
            event(1, start_s=2.0),
            event(0, person=None, method="vaanet", start_s=1.0),
            event(0, person=2, stream="hall"),
        ]
    )
    assert [line.partition(" (mean")[0] for line in said.splitlines()] == [
        "door, bpm-gcn, person 1: 3 windows from 0.0 s to 6.0 s: happy 67%, sad 33%",
        "hall, bpm-gcn, person 2: 1 windows from 0.0 s to 2.0 s: happy 100%",
        "door, vaanet, the scene: 1 windows from 1.0 s to 3.0 s: happy 100%",
    ]
    assert said.splitlines()[0].endswith("(mean confidence 0.67)")


def test_untrained_weights_and_degraded_windows_are_said() -> None:
    said = summarise([event(0), event(1, trained=False, degraded=("frame lost",))])
    assert "UNTRAINED weights took part: their labels are noise, not readings." in said
    assert "1 of 2 windows were degraded" in said
    clean = summarise([event(0)])
    assert "UNTRAINED" not in clean
    assert "degraded" not in clean
