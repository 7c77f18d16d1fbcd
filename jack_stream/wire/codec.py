"""Messages to ZeroMQ parts and back, without copying the arrays.

A message is a topic, a msgpack header and its arrays as raw little-endian buffers, in this order.
Unknown header fields are ignored and new ones have defaults, so that version 1 can grow; a change
that old receivers would misread gets a new version (docs/wire-protocol.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import WireError
from jack_stream.wire.messages import (
    MAX_RATE,
    MIN_RATE,
    POSE_LANDMARKS,
    Audio,
    End,
    Frame,
    Health,
    Kind,
    Message,
    Poses,
    Stamp,
    State,
    View,
)

__all__ = [
    "KIND_OF_VIEW",
    "MAX_PARTS_BYTES",
    "SCHEMA_VERSION",
    "Part",
    "decode",
    "encode",
    "kind_of",
    "topic_of",
]

SCHEMA_VERSION = 1
MAX_PARTS_BYTES = 64 * 1024 * 1024
"""A message may not be larger: a 4K RGB frame has 25 MB."""
_MAX_HEADER_BYTES = 64 * 1024
_MAX_PERSONS = 64
_MAX_SIDE = 16_384
_MAX_SOUND_S = 10
_MAX_VALUE = 1e6
_MAX_COUNTERS = 2048
_MAX_TEXT = 1024
_I64 = 2**63
_STREAM_NAME = re.compile(r"[A-Za-z0-9_-]{0,64}\Z")
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_PROCESS_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")

Part: TypeAlias = bytes | bytearray | memoryview
_Counted: TypeAlias = dict[str, int]


class _Header(msgspec.Struct, kw_only=True, tag_field="type"):
    """What all headers share. Field names are the wire's; see :class:`Stamp`."""

    v: int
    stream: str
    seq: int
    captured_at_ns: int
    session: str
    origin_ns: int = 0


class _FrameHeader(_Header, kw_only=True, tag="frame"):
    shape: tuple[int, int, int]
    dtype: str
    source_size: tuple[int, int]
    discontinuity: bool = False


class _ViewHeader(_FrameHeader, kw_only=True, tag="view"):
    view: View


class _AudioHeader(_Header, kw_only=True, tag="audio"):
    shape: tuple[int]
    dtype: str
    sample_rate: int
    discontinuity: bool = False


class _PoseHeader(_Header, kw_only=True, tag="pose"):
    shape: tuple[int, int, int]
    dtype: str
    ids: list[int]
    scores: list[float]
    frame_size: tuple[int, int]


class _EndHeader(_Header, kw_only=True, tag="end"):
    reason: str


class _HealthHeader(_Header, kw_only=True, tag="health"):
    process: str
    state: State
    counters: _Counted = {}
    gauges: dict[str, float] = {}
    detail: str = ""


_AnyHeader: TypeAlias = (
    _FrameHeader | _ViewHeader | _AudioHeader | _PoseHeader | _EndHeader | _HealthHeader
)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_AnyHeader] = msgspec.msgpack.Decoder(_AnyHeader)
KIND_OF_VIEW: dict[View, Kind] = {"112": "view.112", "224": "view.224"}
_KINDS: dict[type, Kind] = {
    Frame: "frame",
    Audio: "audio",
    Poses: "pose",
    End: "end",
    Health: "health",
}


def kind_of(message: Message) -> Kind:
    """The kind of a message, with which its topic begins."""
    if isinstance(message, Frame) and message.view:
        return KIND_OF_VIEW[message.view]
    return _KINDS[type(message)]


def topic_of(message: Message) -> bytes:
    """The topic that a message is published under: its kind, a dot, its stream or process."""
    name = message.process if isinstance(message, Health) else message.stamp.stream
    return f"{kind_of(message)}.{name}".encode()


def encode(message: Message) -> list[Part]:
    """Turn a message into the parts of a ZeroMQ multipart message.

    The arrays are handed on as they lie in memory when they are contiguous: do not write to them
    after sending.
    """
    stamp = message.stamp
    base: dict[str, Any] = {
        "v": SCHEMA_VERSION,
        "stream": stamp.stream,
        "seq": stamp.seq,
        "captured_at_ns": stamp.captured_at_ns,
        "session": stamp.session,
        "origin_ns": stamp.origin_ns,
    }
    header: _AnyHeader
    arrays: tuple[NDArray[Any], ...] = ()
    match message:
        case Frame():
            base |= {
                "shape": _triple(message.image),
                "dtype": "uint8",
                "source_size": message.source_size,
                "discontinuity": message.discontinuity,
            }
            header = (
                _ViewHeader(**base, view=message.view) if message.view else _FrameHeader(**base)
            )
            arrays = (message.image,)
        case Audio():
            header = _AudioHeader(
                **base,
                shape=(len(message.samples),),
                dtype="float32",
                sample_rate=message.sample_rate,
                discontinuity=message.discontinuity,
            )
            arrays = (message.samples,)
        case Poses():
            header = _PoseHeader(
                **base,
                shape=_triple(message.keypoints),
                dtype="float32",
                ids=list(message.ids),
                scores=list(message.scores),
                frame_size=message.frame_size,
            )
            arrays = (message.keypoints, message.world)
        case End():
            header = _EndHeader(**base, reason=message.reason[:_MAX_TEXT])
        case Health():
            header = _HealthHeader(
                **base,
                process=message.process,
                state=message.state,
                counters=message.counters,
                gauges=message.gauges,
                detail=message.detail[:_MAX_TEXT],
            )
    buffers: list[Part] = [np.ascontiguousarray(a).data.cast("B") for a in arrays if a.size]
    if len(buffers) < len(arrays):
        buffers = [b"" for _ in arrays]
    return [topic_of(message), _encoder.encode(header), *buffers]


def decode(parts: Sequence[Part]) -> Message:
    """Turn received parts into a message whose arrays are read-only views of them.

    Raises:
        WireError: if anything about the message is not as docs/wire-protocol.md says.
    """
    if len(parts) < 2:
        raise WireError(f"a message has at least 2 parts, this one has {len(parts)}")
    if len(parts[1]) > _MAX_HEADER_BYTES:
        raise WireError(f"the header has {len(parts[1])} bytes, more than {_MAX_HEADER_BYTES}")
    if sum(len(part) for part in parts) > MAX_PARTS_BYTES:
        raise WireError(f"the message has more than {MAX_PARTS_BYTES} bytes")
    try:
        header = _decoder.decode(parts[1])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(f"the header is not a known msgpack header: {error}") from error
    if header.v != SCHEMA_VERSION:
        raise WireError(f"schema version {header.v} is unknown; this is version {SCHEMA_VERSION}")
    if not _STREAM_NAME.match(header.stream) or not 0 <= header.seq < _I64:
        raise WireError(f"bad stream name {header.stream[:80]!r} or sequence number {header.seq}")
    if not _SESSION.match(header.session):
        raise WireError(f"bad session name {header.session[:80]!r}")
    if not (0 <= header.captured_at_ns < _I64 and 0 <= header.origin_ns < _I64):
        raise WireError(f"time {header.captured_at_ns} or origin {header.origin_ns} is impossible")
    message = _build(header, parts[2:])
    if bytes(parts[0]) != topic_of(message):
        raise WireError(f"the topic {bytes(parts[0])[:80]!r} does not match the header")
    return message


def _build(header: _AnyHeader, buffers: Sequence[Part]) -> Message:
    stamp = Stamp(
        header.stream, header.seq, header.captured_at_ns, header.session, header.origin_ns
    )
    match header:
        case _FrameHeader():
            return _frame(stamp, header, buffers)
        case _AudioHeader():
            return _audio(stamp, header, buffers)
        case _PoseHeader():
            return _poses(stamp, header, buffers)
        case _EndHeader():
            _arrays(buffers, 0, "", np.dtype("u1"), ())
            _check_text(header.reason)
            return End(stamp, header.reason)
        case _HealthHeader():
            if not _PROCESS_NAME.match(header.process):
                raise WireError(f"bad process name {header.process[:80]!r}")
            _check_text(header.detail)
            if max(len(header.counters), len(header.gauges)) > _MAX_COUNTERS:
                raise WireError(f"more than {_MAX_COUNTERS} counters or gauges")
            _arrays(buffers, 0, "", np.dtype("u1"), ())
            return Health(
                stamp,
                header.process,
                header.state,
                header.counters,
                header.gauges,
                header.detail,
            )


def _frame(stamp: Stamp, header: _FrameHeader, buffers: Sequence[Part]) -> Frame:
    if header.shape[2] != 3:
        raise WireError(f"a frame has 3 channels, this one has shape {header.shape}")
    _check_size(header.source_size)
    (image,) = _arrays(buffers, 1, header.dtype, np.dtype("u1"), header.shape)
    if max(header.shape[:2]) > _MAX_SIDE:
        raise WireError(f"a frame has sides of at most {_MAX_SIDE}, not {header.shape}")
    if not isinstance(header, _ViewHeader):
        return Frame(stamp, image, header.source_size, header.discontinuity)
    if header.shape[:2] != (int(header.view), int(header.view)):
        raise WireError(f"a view {header.view} does not have shape {header.shape}")
    return Frame(stamp, image, header.source_size, header.discontinuity, header.view)


def _audio(stamp: Stamp, header: _AudioHeader, buffers: Sequence[Part]) -> Audio:
    if not MIN_RATE <= header.sample_rate <= MAX_RATE:
        raise WireError(f"sample rate {header.sample_rate} is not in {MIN_RATE} to {MAX_RATE}")
    if header.shape[0] > _MAX_SOUND_S * header.sample_rate:
        raise WireError(
            f"a block of sound has at most {_MAX_SOUND_S} s, not {header.shape[0]}"
            f" samples at {header.sample_rate} Hz"
        )
    (samples,) = _arrays(buffers, 1, header.dtype, np.dtype("<f4"), header.shape)
    _check_values(samples)
    return Audio(stamp, samples, header.sample_rate, header.discontinuity)


def _poses(stamp: Stamp, header: _PoseHeader, buffers: Sequence[Part]) -> Poses:
    persons = len(header.ids)
    if persons > _MAX_PERSONS or len(header.scores) != persons:
        raise WireError(f"{persons} person ids with {len(header.scores)} scores")
    if not all(0 <= one < _I64 for one in header.ids) or len(set(header.ids)) < persons:
        raise WireError("a person id is negative, too large or there twice")
    if not all(0 <= score <= 1 + 1e-6 for score in header.scores):  # a mean of ones, rounded
        raise WireError("a person's score is not in 0 to 1")
    _check_size(header.frame_size)
    if header.shape != (persons, POSE_LANDMARKS, 4):
        raise WireError(f"{persons} persons do not fit shape {header.shape}")
    keypoints, world = _arrays(buffers, 2, header.dtype, np.dtype("<f4"), header.shape)
    _check_values(keypoints)
    _check_values(world)
    ids, scores = tuple(header.ids), tuple(header.scores)
    return Poses(stamp, ids, scores, keypoints, world, header.frame_size)


def _arrays(
    buffers: Sequence[Part], count: int, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> list[NDArray[Any]]:
    if len(buffers) != count:
        raise WireError(f"{count} buffers are expected, {len(buffers)} came")
    if count and name != dtype.name:
        raise WireError(f"dtype {name[:40]!r} where {dtype.name} is expected")
    if any(not 0 <= side < 2**31 for side in shape):
        raise WireError(f"shape {shape} is impossible")
    size = dtype.itemsize
    for side in shape:
        size *= side
    if any(len(buffer) != size for buffer in buffers):
        raise WireError(f"shape {shape} needs {size} bytes, {[len(b) for b in buffers]} came")
    arrays = [np.frombuffer(buffer, dtype).reshape(shape) for buffer in buffers]
    for array in arrays:
        array.flags.writeable = False
    return arrays


def _check_values(array: NDArray[np.float32]) -> None:
    """Refuse what is not a number, or so large that sums of it overflow."""
    with np.errstate(invalid="ignore"):  # a comparison with what is not a number is false
        fine = not array.size or max(float(array.max()), -float(array.min())) <= _MAX_VALUE
    if not fine:
        raise WireError(f"a value is not finite, or beyond {_MAX_VALUE:g}")


def _check_size(size: tuple[int, int]) -> None:
    if not all(0 <= side < 2**31 for side in size):
        raise WireError(f"a picture of {size[0]} x {size[1]} is impossible")


def _check_text(text: str) -> None:
    if len(text) > _MAX_TEXT:
        raise WireError(f"a text of {len(text)} characters; at most {_MAX_TEXT} are read")


def _triple(array: NDArray[Any]) -> tuple[int, int, int]:
    a, b, c = array.shape
    return a, b, c
