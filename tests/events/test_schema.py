"""Events on the wire: what goes in comes out, and what is none is refused."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import WireError
from jack_stream.events.schema import (
    AnyEvent,
    EventSegment,
    Position,
    decode,
    encode,
    topic_of,
)
from tests.events.making import alert, event

_SEGMENT = EventSegment(label="sad", score=0.5, start_ns=1, end_ns=2, start_s=0.0, end_s=1.0)


@pytest.mark.parametrize(
    "made",
    [
        event(),
        event(7, person=None, method="vaanet", modalities=("video", "audio")),
        event(degraded=("audio missing",), support=0.5, segments=(_SEGMENT,), trained=False),
        event(position=Position(journal="cafe", number=7, previous=5), retained=True),
        alert(),
        alert(3, person=None, state="ended", reason="gone", retained=True),
    ],
)
def test_what_goes_in_comes_out(made: AnyEvent) -> None:
    assert decode(encode(made)) == made


def test_the_topic_names_stream_and_method() -> None:
    assert topic_of(event(stream="hall", method="vaanet")) == b"event.hall.vaanet"


def test_the_payload_is_plain_json_with_these_keys() -> None:
    """Subscribers in other languages read these names: they never change within a version."""
    said = json.loads(encode(event(degraded=("frame lost",)))[1])
    assert said == {
        "type": "emotion",
        "v": 1,
        "stream": "door",
        "seq": 0,
        "session": "cafe0001",
        "person": 1,
        "window": {"index": 0, "start_ns": 0, "end_ns": 2 * 10**9, "start_s": 0.0, "end_s": 2.0},
        "label": "happy",
        "confidence": 0.75,
        "probabilities": {"happy": 0.75, "sad": 0.25},
        "model": {"method": "bpm-gcn", "bundle": "d" * 64, "trained": True},
        "modalities": ["pose"],
        "degraded": ["frame lost"],
        "support": 1.0,
        "segments": [],
        "attention": [],
        "ingredients": [],
        "valence": None,
        "delay_ms": None,
        "published_at_ns": 3 * 10**9,
        "latency": {
            "capture_to_window_ms": 1.0,
            "queue_ms": 2.0,
            "inference_ms": 4.0,
            "publish_ms": 8.0,
            "batch_ms": 0.0,
        },
        "position": None,
        "retained": False,
        "purpose": "not stated",
    }


def test_an_alerts_payload_is_plain_json_with_these_keys() -> None:
    topic, payload = encode(alert(7))
    assert topic == b"alert.door.unhappy"
    assert json.loads(payload) == {
        "type": "alert",
        "v": 1,
        "stream": "door",
        "seq": 7,
        "session": "beef0001",
        "rule": "unhappy",
        "person": 1,
        "state": "began",
        "reason": "above",
        "since_ns": 10**9,
        "at_ns": 2 * 10**9,
        "value": 0.75,
        "labels": ["sad", "angry"],
        "window": {"index": 0, "start_ns": 0, "end_ns": 2 * 10**9, "start_s": 0.0, "end_s": 2.0},
        "model": {"method": "bpm-gcn", "bundle": "d" * 64, "trained": True},
        "purpose": "not stated",
        "published_at_ns": 3 * 10**9,
        "position": None,
        "retained": False,
    }


def test_the_stages_of_the_latency_make_the_whole() -> None:
    assert event().latency.total_ms == 15.0


def test_fields_of_a_later_release_are_passed_over() -> None:
    said = json.loads(encode(event())[1]) | {"weather": "fine"}
    assert decode([b"event.door.bpm-gcn", json.dumps(said).encode()]) == event()


def test_another_version_is_refused_by_its_number() -> None:
    later = msgspec.structs.replace(event(), v=2)
    with pytest.raises(WireError, match="version 2; this release knows 1"):
        decode(encode(later))


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"event.door.bpm-gcn"],
        [b"event.door.bpm-gcn", b"{}", b"more"],
        [b"event.door.bpm-gcn", b""],
        [b"event.door.bpm-gcn", b"\xff\xfe"],
        [b"event.door.bpm-gcn", b"[" * 100_000],
        [b"event.door.bpm-gcn", b'{"v": 1}'],
        [b"event.door.bpm-gcn", encode(event())[1].replace(b'"seq":0', b'"seq":"none"')],
        [b"event.door.bpm-gcn", encode(event())[1][:-1]],
    ],
)
def test_what_is_no_event_is_a_wire_error(parts: list[bytes]) -> None:
    with pytest.raises(WireError):
        decode(parts)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60), st.integers(0, 400))
def test_bytes_from_anywhere_end_in_an_event_or_a_wire_error(noise: bytes, place: int) -> None:
    good = encode(event())[1]
    with contextlib.suppress(WireError):
        decode([b"event.", noise])
    with contextlib.suppress(WireError):
        decode([b"event.", good[:place] + noise + good[place:]])
