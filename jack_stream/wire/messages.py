"""What crosses ZeroMQ between our processes: frames, sound, poses, health, end of stream.

Arrays are views of the received buffers wherever a message was received, so they are read-only.
The layout on the wire is written down in docs/wire-protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAX_RATE",
    "MIN_RATE",
    "POSE_LANDMARKS",
    "Audio",
    "End",
    "Frame",
    "Health",
    "Kind",
    "Message",
    "Poses",
    "Stamp",
    "State",
    "View",
]

View: TypeAlias = Literal["112", "224"]
"""A square view of a picture, by its side in pixels; what it shows says docs/wire-protocol.md."""
Kind: TypeAlias = Literal["frame", "view.112", "view.224", "audio", "pose", "end", "health"]
State: TypeAlias = Literal["starting", "running", "degraded", "reconnecting", "stopped"]

MIN_RATE, MAX_RATE = 1000, 768_000
"""Rates that sound has, in hertz."""
POSE_LANDMARKS = 33
"""Body landmarks per person, in MediaPipe's order."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where and when a message's content was captured.

    Attributes:
        stream: the name of the stream, ``[A-Za-z0-9_-]`` only.
        seq: counts the messages of this kind, stream and session from 0 without gaps.
        captured_at_ns: nanoseconds since the Unix epoch; of the first sample for sound.
        session: a random name of the publisher's run; a new one starts ``seq`` again.
        origin_ns: what ``captured_at_ns`` is at media time zero; 0 for devices.
    """

    stream: str
    seq: int
    captured_at_ns: int
    session: str
    origin_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture.

    Attributes:
        stamp: where and when.
        image: uint8 ``[H, W, 3]``, RGB.
        source_size: width and height before capture resized it.
        discontinuity: True on the first frame after something was lost.
        view: which view of the picture this is; empty for the picture itself.
    """

    stamp: Stamp
    image: NDArray[np.uint8]
    source_size: tuple[int, int]
    discontinuity: bool = False
    view: View | Literal[""] = ""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A block of sound.

    Attributes:
        stamp: where and when; ``captured_at_ns`` is the time of the first sample.
        samples: float32 ``[n]``, mono, nominally -1 to 1.
        sample_rate: in hertz.
        discontinuity: True on the first block after something was lost.
    """

    stamp: Stamp
    samples: NDArray[np.float32]
    sample_rate: int
    discontinuity: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """The people found in one frame; sent for every frame looked at, also when nobody is there.

    Attributes:
        stamp: where and when; ``captured_at_ns`` is that of the frame.
        ids: one number per person, the same as long as that person is tracked.
        scores: one per person, 0 to 1: how sure it is that this is a person.
        keypoints: float32 ``[P, 33, 4]``: x and y in 0..1 of the picture, z, visibility 0..1.
        world: float32 ``[P, 33, 4]``: x, y, z in metres from the middle of the hips, y pointing
            down; visibility 0..1.
        frame_size: width and height of the frame.
    """

    stamp: Stamp
    ids: tuple[int, ...]
    scores: tuple[float, ...]
    keypoints: NDArray[np.float32]
    world: NDArray[np.float32]
    frame_size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class End:
    """The stream is over; nothing of it follows in this session.

    Attributes:
        stamp: ``captured_at_ns`` is the end of the last frame or block.
        reason: why, for people.
    """

    stamp: Stamp
    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """How a process fares.

    Attributes:
        stamp: ``stream`` is empty for processes that serve all streams.
        process: the process's name, for example ``camera.door``.
        state: what it is doing.
        counters: only ever grow while the process lives, for example ``frames_captured``.
        gauges: go up and down, for example ``fps``.
        detail: one line for people.
    """

    stamp: Stamp
    process: str
    state: State
    counters: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    detail: str = ""


Message: TypeAlias = Frame | Audio | Poses | End | Health
