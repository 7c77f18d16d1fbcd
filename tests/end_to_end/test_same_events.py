"""The same data gives the same events: as it happens, offline, and from its recording."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import msgspec
import pytest

from jack_stream.config import dumps, load, parse
from jack_stream.events.schema import Event
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
    with started(tmp_path, "analyze", str(film), "--hop", "0.5", "-o", str(found)) as offline:
        offline.succeed()
    events = [msgspec.json.decode(line, type=Event) for line in found.read_bytes().splitlines()]
    assert {event.person for event in live}, "somebody walks there"
    _assert_same(live, events)
    _assert_same(live, _replay(tmp_path, config, recording))


def test_the_scene_is_read_alike_live_at_full_speed_and_from_a_recording(
    sockets: Path, tmp_path: Path
) -> None:
    stream = {"scene": {"styles": ["happy"], "seconds": 8.0}, "pose": {"capacity": 256}}
    config = _write(tmp_path / "scene.toml", sockets, stream)
    recording = tmp_path / "scene.jack"
    live = _run_and_record(tmp_path, config, recording)
    fast = ("--set", "runtime.policy=lossless", "--set", "streams.0.scene.pace=fast")
    with _capture(config) as events, started(tmp_path, "run", "-c", str(config), *fast) as run:
        run.succeed()
        events.wait_until(lambda seen: len(seen) >= len(live))
        _assert_same(live, events)
    _assert_same(live, _replay(tmp_path, config, recording))


def _run_and_record(folder: Path, config: Path, recording: Path) -> Sequence[Event]:
    """Run a configuration with a recorder beside it from the start; its events."""
    with (
        _capture(config) as events,
        started(folder, "record", str(recording), "-c", str(config)) as record,
        started(folder, "run", "-c", str(config)) as run,
    ):
        run.succeed()
        record.succeed(30)
        return list(events)


def _replay(folder: Path, config: Path, recording: Path) -> Sequence[Event]:
    words = ("replay", str(recording), "-c", str(config), "--fast")
    with _capture(config) as events, started(folder, *words) as replay:
        replay.succeed()
        return list(events)


@contextlib.contextmanager
def _capture(config: Path) -> Iterator[EventCapture]:
    with capture_events(load(config).events.endpoint) as events:
        yield events


def _write(path: Path, sockets: Path, stream: dict[str, object]) -> Path:
    """A configuration with one stream, the gait network, and its sockets in a folder."""
    gait = {"method": "bpm-gcn", "bundle": "default", "hop_s": 0.5}
    table = {
        "runtime": {"directory": str(sockets)},
        "events": {
            "endpoint": f"ipc://{sockets}/events",
            "health_endpoint": f"ipc://{sockets}/health-out",
        },
        "streams": [{"name": path.stem, "analyzers": [gait], **stream}],
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
