"""The same data gives the same events and alerts: live, offline, and from its recording."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import av
import pytest

from jack_stream.config import dumps, load, parse
from jack_stream.events.journal_reader import JournalReader
from jack_stream.events.schema import Alert, AnyEvent, Event, decode
from jack_stream.testing import EventCapture, capture_events
from tests.end_to_end.commands import socket_folder, started

pytestmark = [pytest.mark.end_to_end, pytest.mark.jittor, pytest.mark.timeout(900)]

_TOLERANCE = 1e-6


@pytest.fixture
def sockets() -> Iterator[Path]:
    with socket_folder() as folder:
        yield folder


def test_a_walker_on_film_is_read_alike_live_offline_and_from_a_recording(
    shared: Path, sockets: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    _cut(shared / "data/footage/one-by-one-person-detection.mp4", film, 80.0, 88.0)
    # Room for every picture, so that a busy machine falls behind instead of dropping some.
    stream = {"camera": {"source": str(film), "sound": False}, "pose": {"capacity": 256}}
    config = _write(tmp_path / "film.toml", sockets, stream)
    recording, found = tmp_path / "film.jack", tmp_path / "found.jsonl"
    live = _run_and_record(tmp_path, config, recording)
    words = ("analyze", str(film), "--hop", "0.5", "-o", str(found), "--rules", str(config))
    with started(tmp_path, *words) as offline:
        offline.succeed()
    said = [decode([b"", line]) for line in found.read_bytes().splitlines()]
    assert {event.person for event in live}, "somebody walks there"
    _assert_same(live, [one for one in said if isinstance(one, Event)])
    _assert_same(live, _replay(tmp_path, config, recording))
    alerts = _alerts(_kept(tmp_path / "run.sqlite"))
    assert alerts, "somebody is called what the rule is about"
    assert _alerts(said) == alerts
    assert _alerts(_kept(tmp_path / "replay.sqlite")) == alerts


def test_the_scene_is_read_alike_live_at_full_speed_and_from_a_recording(
    sockets: Path, tmp_path: Path
) -> None:
    stream = {"scene": {"styles": ["happy"], "seconds": 8.0}, "pose": {"capacity": 256}}
    config = _write(tmp_path / "scene.toml", sockets, stream)
    recording = tmp_path / "scene.jack"
    live = _run_and_record(tmp_path, config, recording)
    fast = ("--set", "runtime.policy=lossless", "--set", "streams.0.scene.pace=fast")
    journal = ("--set", f"journal.path={tmp_path / 'fast.sqlite'}")
    words = ("run", "-c", str(config), *fast, *journal)
    with _capture(config) as events, started(tmp_path, *words) as run:
        run.succeed()
        events.wait_until(lambda seen: len(seen) >= len(live))
        _assert_same(live, events)
    _assert_same(live, _replay(tmp_path, config, recording))
    alerts = _alerts(_kept(tmp_path / "run.sqlite"))
    assert [one[:3] for one in alerts][:1] == [("read", 1, "began")]
    assert _alerts(_kept(tmp_path / "fast.sqlite")) == alerts
    assert _alerts(_kept(tmp_path / "replay.sqlite")) == alerts


def _run_and_record(folder: Path, config: Path, recording: Path) -> Sequence[Event]:
    """Run a configuration with a recorder beside it from the start; its events."""
    journal = ("--set", f"journal.path={folder / 'run.sqlite'}")
    with (
        _capture(config) as events,
        started(folder, "record", str(recording), "-c", str(config)) as record,
        started(folder, "run", "-c", str(config), *journal) as run,
    ):
        run.succeed()
        record.succeed(30)
        return list(events)


def _replay(folder: Path, config: Path, recording: Path) -> Sequence[Event]:
    journal = ("--set", f"journal.path={folder / 'replay.sqlite'}")
    words = ("replay", str(recording), "-c", str(config), "--fast", *journal)
    with _capture(config) as events, started(folder, *words) as replay:
        replay.succeed()
        return list(events)


@contextlib.contextmanager
def _capture(config: Path) -> Iterator[EventCapture]:
    with capture_events(load(config).events.endpoint) as events:
        yield events


def _write(path: Path, sockets: Path, stream: dict[str, object]) -> Path:
    """A configuration with one stream, the gait network, a rule, and its sockets in a folder."""
    rule = {"name": "read", "labels": ["happy", "angry"], "above": 0.5, "until_below": 0.3}
    # However slow this machine is: nobody is called gone because it takes so long.
    rule |= {"for_s": 1.0, "smoothing_s": 1.0, "gap_s": 60.0}
    gait = {"method": "bpm-gcn", "bundle": "default", "hop_s": 0.5}
    table = {
        "runtime": {"directory": str(sockets)},
        "events": {
            "endpoint": f"ipc://{sockets}/events",
            "health_endpoint": f"ipc://{sockets}/health-out",
        },
        "streams": [{"name": path.stem, "analyzers": [gait], **stream}],
        "rules": [rule],
    }
    path.write_text(dumps(parse(table, path.name)), encoding="utf-8")
    return path


def _assert_same(one: Sequence[Event], other: Sequence[Event]) -> None:
    """Nothing may differ but the run, and when and how quickly it was."""
    assert [_essence(event) for event in one] == [_essence(event) for event in other]
    for event, twin in zip(one, other, strict=True):
        assert event.probabilities == pytest.approx(twin.probabilities, abs=_TOLERANCE)
        assert event.confidence == pytest.approx(twin.confidence, abs=_TOLERANCE)


def _essence(event: Event) -> tuple[object, ...]:
    window = event.window
    return (
        event.person, window.index, window.start_s, window.end_s, event.label, event.model,
        event.modalities, event.degraded, event.support,
    )  # fmt: skip


def _kept(journal: Path) -> list[AnyEvent]:
    with JournalReader(journal) as reader:
        return [decode([b"", one]) for one in reader.page(alerts=True, limit=1000).events]


def _alerts(said: Iterable[AnyEvent]) -> list[tuple[object, ...]]:
    """Alerts with their times in the medium, as far as they don't differ between runs."""
    return [
        (
            one.rule, one.person, one.state, one.reason, one.window.end_s,
            one.at_ns - one.window.end_ns, one.at_ns - one.since_ns,
        )
        for one in said
        if isinstance(one, Alert)
    ]  # fmt: skip


def _cut(film: Path, target: Path, start_s: float, stop_s: float) -> None:
    """Copy a stretch of a film's pictures as they are; it must begin at a key frame."""
    with av.open(str(film)) as old, av.open(str(target), "w") as new:
        pictures = old.streams.video[0]
        copy = new.add_stream_from_template(pictures)
        first: int | None = None
        for packet in old.demux(pictures):
            if packet.pts is None or not start_s <= packet.pts * packet.time_base < stop_s:
                continue
            first = packet.pts if first is None else first
            packet.pts -= first
            packet.dts = None if packet.dts is None else packet.dts - first
            packet.stream = copy
            new.mux(packet)
