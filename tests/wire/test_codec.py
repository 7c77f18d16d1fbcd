"""Encoding and decoding, with messages that are well-formed, damaged and hostile."""

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.errors import WireError
from jack_stream.wire.codec import decode, encode, topic_of
from jack_stream.wire.messages import Audio, End, Frame, Health, Message, Poses, Stamp

_names = st.text("abcXYZ019_-", min_size=1, max_size=20)
# Jittor, once imported, rounds subnormal numbers to zero in the whole process.
_i64 = st.integers(0, 2**62)
_stamps = st.builds(Stamp, _names, _i64, _i64, _names, _i64)
_sizes = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


@st.composite
def _frames(draw: st.DrawFn) -> Frame:
    h, w = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    image = np.frombuffer(draw(st.binary(min_size=h * w * 3, max_size=h * w * 3)), np.uint8)
    return Frame(draw(_stamps), image.reshape(h, w, 3), draw(_sizes), draw(st.booleans()))


@st.composite
def _views(draw: st.DrawFn) -> Frame:
    side = draw(st.sampled_from([112, 224]))
    image = np.full((side, side, 3), draw(st.integers(0, 255)), np.uint8)
    view: Any = str(side)
    return Frame(draw(_stamps), image, draw(_sizes), draw(st.booleans()), view)


@st.composite
def _audio(draw: st.DrawFn) -> Audio:
    samples = draw(st.lists(st.floats(-1, 1, width=32, allow_subnormal=False), max_size=30))
    rate = draw(st.integers(1000, 192000))
    return Audio(draw(_stamps), np.array(samples, np.float32), rate, draw(st.booleans()))


@st.composite
def _poses(draw: st.DrawFn) -> Poses:
    persons = draw(st.integers(0, 3))
    ids = tuple(
        draw(st.lists(st.integers(0, 2**40), min_size=persons, max_size=persons, unique=True))
    )
    points = np.random.default_rng(persons).random((persons, 33, 4), np.float32)
    return Poses(draw(_stamps), ids, (0.5,) * persons, points, -points, draw(_sizes))


_health = st.builds(
    Health,
    _stamps,
    st.text("abc.-_1", min_size=1, max_size=20),
    st.sampled_from(["starting", "running", "degraded", "reconnecting", "stopped"]),
    st.dictionaries(_names, _i64, max_size=4),
    st.dictionaries(_names, st.floats(allow_nan=False, allow_subnormal=False), max_size=4),
    st.text(max_size=40),
)
_messages = st.one_of(
    _frames(), _views(), _audio(), _poses(), st.builds(End, _stamps, st.text()), _health
)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    return bool(a == b)


@given(_messages)
def test_what_was_encoded_is_decoded(message: Message) -> None:
    decoded = decode(encode(message))
    assert type(decoded) is type(message)
    for field in dataclasses.fields(message):
        assert _same(getattr(message, field.name), getattr(decoded, field.name)), field.name


def test_a_view_has_a_topic_of_its_own_and_the_side_that_it_is_called_by() -> None:
    whole = Frame(Stamp("door", 3, 5, "s"), np.zeros((112, 112, 3), np.uint8), (640, 360))
    assert topic_of(whole) == b"frame.door"
    assert topic_of(dataclasses.replace(whole, view="112")) == b"view.112.door"
    with pytest.raises(WireError, match="a view 224 does not have shape"):
        decode(encode(dataclasses.replace(whole, view="224")))


@given(_messages, st.data())
def test_damaged_messages_raise_only_wire_errors(message: Message, data: st.DataObject) -> None:
    parts = [bytes(part) for part in encode(message)]
    where = data.draw(st.integers(0, len(parts) - 1))
    change = data.draw(st.sampled_from(["cut", "flip", "drop", "double", "grow"]))
    part = bytearray(parts[where])
    if change == "cut":
        parts[where] = bytes(part[: len(part) // 2])
    elif change == "flip" and part:
        part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
        parts[where] = bytes(part)
    elif change == "drop":
        del parts[where]
    elif change == "double":
        parts.insert(where, parts[where])
    else:
        parts[where] += b"\0"
    try:
        decoded = decode(parts)
    except WireError:
        return
    assert topic_of(decoded) == parts[0]


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_noise_raises_only_wire_errors(parts: list[bytes]) -> None:
    with pytest.raises(WireError):
        decode(parts)


def _header(**changes: Any) -> bytes:
    fields = {
        "type": "frame",
        "v": 1,
        "stream": "door",
        "seq": 0,
        "captured_at_ns": 1,
        "session": "s",
        "shape": [1, 2, 3],
        "dtype": "uint8",
        "source_size": [2, 1],
    }
    return msgspec.msgpack.encode(fields | changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"v": 2}, "schema version 2"),
        ({"shape": [1, 2, 4]}, "3 channels"),
        ({"shape": [-1, -2, 3]}, "impossible"),
        ({"shape": [2**40, 2**40, 3]}, "impossible"),
        ({"shape": [1000, 1000, 3]}, "needs 3000000 bytes"),
        ({"dtype": "object"}, "dtype 'object'"),
        ({"stream": "../etc"}, "bad stream name"),
        ({"stream": "door\n"}, "bad stream name"),
        ({"seq": -1}, "sequence number -1"),
        ({"type": "pickle"}, "not a known msgpack header"),
        ({"stream": "window"}, "topic"),
        ({"session": ""}, "bad session name"),
        ({"session": "x" * 65}, "bad session name"),
        ({"captured_at_ns": 2**63}, "is impossible"),
        ({"captured_at_ns": -1}, "is impossible"),
        ({"origin_ns": 2**64 - 1}, "is impossible"),
        ({"source_size": [2**31, 1]}, "is impossible"),
        ({"shape": [20000, 0, 3]}, "needs 0 bytes"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(WireError, match=says):
        decode([b"frame.door", _header(**changes), b"123456"])


def _sound(samples: list[float], **changes: Any) -> list[bytes]:
    data = np.array(samples, np.float32)
    fields = {"type": "audio", "shape": [len(data)], "dtype": "float32", "sample_rate": 16000}
    return [b"audio.door", _header(**(fields | changes)), data.tobytes()]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e6, -3e38])
def test_sound_that_is_no_number_is_refused(value: float) -> None:
    assert isinstance(decode(_sound([0.5, -1.0, 1e6])), Audio)
    with pytest.raises(WireError, match="not finite"):
        decode(_sound([0.0, value, 0.5]))


@pytest.mark.parametrize("rate", [0, -1, 1, 999, 768_001, 2**60])
def test_sound_of_an_impossible_rate_is_refused(rate: int) -> None:
    with pytest.raises(WireError, match="sample rate"):
        decode(_sound([0.0], sample_rate=rate))


def test_a_block_of_sound_is_short() -> None:
    with pytest.raises(WireError, match="at most 10 s"):
        decode(_sound([0.0] * 10_001, sample_rate=1000))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ids": [1, 1]}, "there twice"),
        ({"ids": [1, -2]}, "negative"),
        ({"ids": [1, 2**63]}, "too large"),
        ({"scores": [0.5, float("nan")]}, "score"),
        ({"scores": [0.5, 7.0]}, "score"),
        ({"ids": [1]}, "1 person ids with 2 scores"),
    ],
)
def test_people_that_cannot_be_are_refused(changes: dict[str, Any], says: str) -> None:
    fields = {
        "type": "pose",
        "shape": [2, 33, 4],
        "dtype": "float32",
        "ids": [1, 2],
        "scores": [0.5, 0.5],
        "frame_size": [640, 480],
    }
    points = bytes(2 * 33 * 4 * 4)
    decode([b"pose.door", _header(**fields), points, points])
    with pytest.raises(WireError, match=says):
        decode([b"pose.door", _header(**(fields | changes)), points, points])


def test_long_texts_and_many_counters_are_refused() -> None:
    with pytest.raises(WireError, match="1025 characters"):
        decode([b"end.door", _header(type="end", reason="x" * 1025)])
    health = {"type": "health", "process": "door", "state": "running"}
    with pytest.raises(WireError, match="2048 counters"):
        decode([b"health.door", _header(**health, counters={str(n): n for n in range(2049)})])


def test_a_field_from_a_later_minor_version_is_ignored() -> None:
    message = decode([b"frame.door", _header(lens="wide"), b"123456"])
    assert isinstance(message, Frame)
    assert message.image.tolist() == [[[49, 50, 51], [52, 53, 54]]]


def test_arrays_are_views_that_nobody_can_write_to() -> None:
    buffer = bytearray(b"123456")
    message = decode([b"frame.door", _header(), buffer])
    assert isinstance(message, Frame)
    assert np.shares_memory(message.image, np.frombuffer(buffer, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        message.image[0] = 0
