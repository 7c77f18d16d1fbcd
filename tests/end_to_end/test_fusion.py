"""Gait and voice of one scene, and what both say together, from devices to subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from jack_stream.config import dumps, parse
from jack_stream.events.journal_reader import JournalReader
from jack_stream.events.schema import Event, decode
from jack_stream.testing import capture_events
from tests.end_to_end.commands import socket_folder, started

pytestmark = [pytest.mark.end_to_end, pytest.mark.jittor, pytest.mark.timeout(600)]

_SMOOTHING_S = 2.0


def test_a_walker_with_a_voice_is_read_by_both_and_by_what_they_say_together(
    tmp_path: Path,
) -> None:
    with socket_folder() as sockets:
        events = f"ipc://{sockets}/events"
        config = _write(tmp_path / "fusion.toml", sockets, events)
        with capture_events(events) as seen, started(tmp_path, "run", "-c", str(config)) as run:
            run.succeed()
            kept = _kept(tmp_path / "journal.sqlite")
            published = seen.wait_until(lambda events: len(events) >= len(kept))
    assert [(event.model.method, event.seq) for event in published] == [
        (event.model.method, event.seq) for event in kept
    ]
    _assert_fused(published)


def _assert_fused(events: Sequence[Event]) -> None:
    """Gait and voice were fused for the one who walks, from what both published."""
    said = {(event.model.method, event.seq): event for event in events}
    walked = {event.window.end_ns for event in events if event.model.method == "bpm-gcn"}
    fused = [event for event in events if event.model.method == "fusion" and event.person == 1]
    assert walked, "somebody walks there"
    assert walked <= {event.window.end_ns for event in fused}
    for event in fused:
        assert [part.method for part in event.ingredients] == ["bpm-gcn", "vaanet-audio"]
        assert sum(part.weight for part in event.ingredients) == pytest.approx(1)
        assert [*event.probabilities] == ["happy", "sad", "angry", "neutral"]
        heard = [said[part.method, part.seq] for part in event.ingredients]
        assert [one.person for one in heard] == [1, None]
        ages_ms = [(event.window.end_ns - one.window.end_ns) / 1e6 for one in heard]
        assert [part.age_ms for part in event.ingredients] == pytest.approx(ages_ms)
        assert min(ages_ms) == 0, "one of them spoke at this instant"
        assert event.delay_ms is not None
        assert 1500 <= event.delay_ms <= 1600 + max(ages_ms) + 1000 * _SMOOTHING_S, "3.2 and 3 s"


def _write(path: Path, sockets: Path, events: str) -> Path:
    """The built-in scene, seen and heard at full speed."""
    methods = ("bpm-gcn", "vaanet-audio")
    stream = {
        "name": "scene",
        "scene": {"styles": ["happy"], "seconds": 4.5, "pace": "fast"},
        "pose": {},
        "analyzers": [{"method": m, "bundle": "default", "hop_s": 0.5} for m in methods],
        "fusion": {"scheme": "four", "smoothing_s": _SMOOTHING_S},
    }
    table = {
        "runtime": {"directory": str(sockets), "policy": "lossless"},
        "events": {"endpoint": events, "health_endpoint": f"ipc://{sockets}/health-out"},
        "journal": {"path": str(path.with_name("journal.sqlite"))},
        "streams": [stream],
    }
    path.write_text(dumps(parse(table, path.name)), encoding="utf-8")
    return path


def _kept(journal: Path) -> list[Event]:
    with JournalReader(journal) as reader:
        found = [decode([b"", one]) for one in reader.page(limit=1000).events]
    return [one for one in found if isinstance(one, Event)]
