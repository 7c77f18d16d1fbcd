"""Messages that a release has sent are decoded for ever, and by the page's words alone.

The independent reader below uses nothing of the package: ``docs/wire-protocol.md``, a msgpack
library, ``struct`` and JSON. If it must change for a test to pass, the protocol has changed.
"""

import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from jack_stream.events import schema
from jack_stream.wire.codec import decode, encode, topic_of
from jack_stream.wire.messages import Poses
from tests.wire.make_fixtures import event, messages

RECORDED: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "fixtures/v1.json").read_text()
)


def _parts(name: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in RECORDED[name]]


class _Read(NamedTuple):
    topic: str
    header: dict[str, Any]
    arrays: list[tuple[float, ...]]


def _read(parts: list[bytes]) -> _Read:
    header = msgspec.msgpack.decode(parts[1])
    letter = {"uint8": "B", "float32": "f"}
    count = 1
    for side in header.get("shape", ()):
        count *= side
    arrays = [struct.unpack(f"<{count}{letter[header['dtype']]}", part) for part in parts[2:]]
    return _Read(parts[0].decode(), header, arrays)


@pytest.mark.parametrize("name", messages())
def test_a_recorded_message_is_decoded_as_it_was_meant(name: str) -> None:
    meant, got = messages()[name], decode(_parts(name))
    assert type(got) is type(meant)
    assert topic_of(got) == topic_of(meant)
    assert [bytes(p) for p in encode(got)] == [bytes(p) for p in encode(meant)]


@pytest.mark.parametrize("name", messages())
def test_this_release_still_sends_what_was_recorded(name: str) -> None:
    """Fields may come to be added; those that were there keep their names and values."""
    sent, recorded = _read([bytes(p) for p in encode(messages()[name])]), _read(_parts(name))
    assert sent.topic == recorded.topic
    assert sent.arrays == recorded.arrays
    assert sent.header | recorded.header == sent.header


@pytest.mark.parametrize("name", messages())
def test_the_shared_header_is_as_the_page_says(name: str) -> None:
    header = _read(_parts(name)).header
    assert header["v"] == 1
    assert header["session"] == "0a1b2c3d"
    assert header["origin_ns"] == 1_790_000_000_000_000_000
    assert header["captured_at_ns"] == 1_790_000_000_123_456_789 + header["seq"]
    assert header["type"] == name.split(maxsplit=1)[0]


def test_a_frame_is_read_by_the_page_alone() -> None:
    topic, header, (image,) = _read(_parts("frame"))
    assert topic == "frame.door"
    assert (header["shape"], header["dtype"]) == ([2, 3, 3], "uint8")
    assert (header["source_size"], header["discontinuity"]) == ([1280, 720], True)
    row, column, blue = 1, 2, 2
    assert image[(row * 3 + column) * 3 + blue] == 17


def test_sound_is_read_by_the_page_alone() -> None:
    topic, header, (samples,) = _read(_parts("audio"))
    assert topic == "audio.door"
    assert (header["shape"], header["sample_rate"]) == ([4], 44100)
    assert samples == (0, 0.5, -1, 0.25)


def test_poses_are_read_by_the_page_alone() -> None:
    topic, header, (keypoints, world) = _read(_parts("pose"))
    assert topic == "pose.door"
    assert (header["shape"], header["ids"]) == ([2, 33, 4], [3, 2**40])
    assert (header["scores"], header["frame_size"]) == ([0.875, 1.0], [640, 480])
    person, left_ankle, visibility = 1, 27, 3
    where = (person * 33 + left_ankle) * 4 + visibility
    assert keypoints[where] == where / 256
    assert world[where] == -where / 256


def test_nobody_is_two_empty_buffers() -> None:
    parts = _parts("pose of nobody")
    assert parts[2:] == [b"", b""]
    got = decode(parts)
    assert isinstance(got, Poses)
    assert got.world.shape == (0, 33, 4)
    assert got.world.dtype == np.float32


def test_the_rest_is_read_by_the_page_alone() -> None:
    assert _read(_parts("end")).header["reason"] == "the file is over"
    topic, health, arrays = _read(_parts("health"))
    assert (topic, arrays) == ("health.camera.door", [])
    assert (health["process"], health["state"]) == ("camera.door", "running")
    assert (health["counters"], health["gauges"]) == ({"frames": 250}, {"fps": 25.0})
    assert health["detail"] == "fine"
    assert _read(_parts("health of all streams")).topic == "health.inference"


def test_a_recorded_event_is_decoded_as_it_was_meant() -> None:
    assert schema.decode(_parts("event")) == event()


def test_an_event_is_read_by_the_page_alone() -> None:
    topic, payload = _parts("event")
    read = json.loads(payload)
    assert topic == b"event.door.bpm-gcn"
    assert (read["type"], read["v"], read["person"]) == ("emotion", 1, 3)
    assert read["window"]["end_ns"] - read["window"]["start_ns"] == 3_200_000_000
    assert max(read["probabilities"], key=read["probabilities"].get) == read["label"]
    assert read["model"] == {"method": "bpm-gcn", "bundle": "untrained", "trained": False}
    assert sum(read["latency"].values()) == 100
