"""What a window is, and what an analyzer may ask of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from jack_stream.wire.messages import Audio, Frame, Poses

__all__ = ["Modality", "Sample", "Window", "WindowSpec", "phase_of"]

Modality: TypeAlias = Literal["frame", "audio", "pose"]
Sample: TypeAlias = Frame | Audio | Poses


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How a stream is cut.

    Window k is ``[origin + k * hop, origin + k * hop + length)``. The origin is media time zero
    for files and the phase after the Unix epoch for devices, so that the same data is always cut
    alike.

    Attributes:
        length_ns: length of a window.
        hop_ns: from the start of one to the start of the next.
        modalities: what it waits for.
        lateness_ns: how far the other modalities may run ahead before it is given up waiting.
        phase_ns: where a device's grid lies, from 0 up to a hop; see `phase_of`.
    """

    length_ns: int
    hop_ns: int
    modalities: tuple[Modality, ...]
    lateness_ns: int
    phase_ns: int = 0

    def __post_init__(self) -> None:
        if self.length_ns <= 0 or self.hop_ns <= 0 or self.lateness_ns < 0 or not self.modalities:
            raise ValueError(
                "a window needs a positive length and hop, a lateness of at least 0 and at least"
                f" one modality: {self}"
            )


def phase_of(stream: str, hop_ns: int) -> int:
    """Where the grid of a device stream lies, from 0 up to a hop, by nothing but its name.

    If all grids began at full seconds, the windows of all streams would be complete at once, and
    wait for each other while nothing is to be done before. Grids of one stream whose hops are
    multiples of each other stay in step.
    """
    digest = hashlib.blake2b(stream.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % hop_ns


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of a stream with everything that was captured in it.

    Attributes:
        stream: the stream's name.
        index: k of the grid.
        origin_ns: where the grid begins.
        start_ns: first instant of the window.
        end_ns: first instant after it.
        samples: per modality what was captured in the window, ascending in time. A block of sound
            belongs to every window that it touches.
        degraded: what is wrong with it, empty for a whole window: ``audio missing``,
            ``frame lost``, ``shorter than a window``.
        newest_ns: when the newest sample in it was captured.
        zero_ns: media time zero; 0 for devices.
    """

    stream: str
    index: int
    origin_ns: int
    start_ns: int
    end_ns: int
    samples: dict[Modality, tuple[Sample, ...]]
    degraded: tuple[str, ...]
    newest_ns: int
    zero_ns: int = 0

    @property
    def frames(self) -> list[Frame]:
        """The pictures, ascending in time."""
        return [s for s in self.samples.get("frame", ()) if isinstance(s, Frame)]

    @property
    def audio(self) -> list[Audio]:
        """The blocks of sound, ascending in time."""
        return [s for s in self.samples.get("audio", ()) if isinstance(s, Audio)]

    @property
    def poses(self) -> list[Poses]:
        """The poses of each frame looked at, ascending in time."""
        return [s for s in self.samples.get("pose", ()) if isinstance(s, Poses)]

    @property
    def present(self) -> tuple[Modality, ...]:
        """The modalities that have anything in this window."""
        return tuple(modality for modality, samples in self.samples.items() if samples)
