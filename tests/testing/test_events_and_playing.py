import contextlib
import dataclasses
from pathlib import Path

import pytest

from jack_stream.clock import NS_PER_S
from jack_stream.errors import SourceError
from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import Event, EventWindow, Latency, ModelInfo
from jack_stream.testing import (
    PatternSource,
    capture_events,
    play_recording,
    read_frame_number,
    write_recording,
)
from jack_stream.wire.messages import End, Frame, Stamp
from jack_stream.wire.policy import Policy
from jack_stream.wire.receiver import Receiver


def _messages(count: int) -> list[Frame | End]:
    source = PatternSource(96, 40)
    stamps = [Stamp("door", n, (100 + n) * NS_PER_S, "cafe0001") for n in range(count)]
    end = dataclasses.replace(stamps[-1], seq=0)
    return [*(Frame(s, source.frame(s.seq), (96, 40)) for s in stamps), End(end, "over")]


def test_a_recording_is_played_as_it_was_written(tmp_path: Path) -> None:
    path, endpoint = tmp_path / "a.jack", f"ipc://{tmp_path}/a"
    write_recording(path, _messages(5))
    with (
        Receiver([endpoint], ["frame", "end"], policy=Policy.LOSSLESS) as inbox,
        play_recording(path, endpoint),
    ):
        got = [inbox.get(10) for _ in range(6)]
    frames = [m for m in got if isinstance(m, Frame)]
    assert [read_frame_number(f.image) for f in frames] == list(range(5))
    assert [f.stamp for f in frames] == [m.stamp for m in _messages(5)[:-1]]
    assert isinstance(got[-1], End)


def test_what_is_no_recording_is_an_error_for_the_one_who_plays(tmp_path: Path) -> None:
    path = tmp_path / "a.jack"
    path.write_bytes(b"something else")
    with (
        pytest.raises(SourceError, match=r"a\.jack"),
        play_recording(path, f"ipc://{tmp_path}/a", receivers=0),
    ):
        pass


_EVENT = Event(
    stream="door",
    seq=7,
    session="cafe0001",
    window=EventWindow(index=0, start_ns=0, end_ns=NS_PER_S, start_s=0.0, end_s=1.0),
    label="happy",
    confidence=1.0,
    probabilities={"happy": 1.0},
    model=ModelInfo(method="bpm-gcn", bundle="untrained", trained=False),
    modalities=("pose",),
    published_at_ns=2 * NS_PER_S,
    latency=Latency(capture_to_window_ms=0, queue_ms=0, inference_ms=0, publish_ms=0),
)


def test_events_are_collected_until_enough_came(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/events"
    with capture_events(endpoint) as events, EventPublisher(endpoint) as publisher:
        while not events:  # what is published before the subscription has arrived is not kept
            publisher.publish(_EVENT)
            with contextlib.suppress(TimeoutError):
                events.wait_until(lambda so_far: len(so_far) > 0, timeout_s=0.05)
        seen = events.wait_until(lambda so_far: len(so_far) >= 1)
        with pytest.raises(TimeoutError, match="door/bpm-gcn #7"):
            events.wait_until(lambda so_far: any(e.stream == "none" for e in so_far), timeout_s=0)
    assert seen[0] == _EVENT
    assert events[0] == _EVENT
