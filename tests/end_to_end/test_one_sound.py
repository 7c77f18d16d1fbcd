"""A file with nothing but sound, given to `jack-stream analyze` as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from jack_stream.events.schema import Event, decode
from tests.end_to_end.commands import started
from tests.end_to_end.pulse import write_tone

pytestmark = [pytest.mark.end_to_end, pytest.mark.jittor]


def test_a_sound_is_read_by_the_voice_network_unless_told_otherwise(tmp_path: Path) -> None:
    sound, found = tmp_path / "tone.wav", tmp_path / "found.jsonl"
    write_tone(sound, 220, 5)
    with started(tmp_path, "analyze", str(sound), "-o", str(found)) as command:
        command.succeed()
    events = [decode([b"", line]) for line in found.read_bytes().splitlines()]
    assert len(events) >= 2, "windows of 3 s, one a second"
    assert {event.model.method for event in events if isinstance(event, Event)} == {"vaanet-audio"}
    assert f"{len(events)} events are in {found}." in command.out
