"""What a window is, and what an analyzer may ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jack_stream.wire.messages import Audio, Frame, Poses

__all__ = ["Modality", "Sample", "Window", "WindowSpec"]

Modality: TypeAlias = Literal["frame", "audio", "pose"]
Sample: TypeAlias = Frame | Audio | Poses


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How a stream is cut.

    Window k is ``[origin + k * hop, origin + k * hop + length)``. The origin is media time zero
    for files and the Unix epoch for devices, so that the same data is always cut alike.

    Attributes:
        length_ns: length of a window.
        hop_ns: from the start of one to the start of the next.
        modalities: what it waits for.
        lateness_ns: how far the other modalities may run ahead before it is given up waiting.
    """

    length_ns: int
    hop_ns: int
    modalities: tuple[Modality, ...]
    lateness_ns: int

    def __post_init__(self) -> None:
        if self.length_ns <= 0 or self.hop_ns <= 0 or self.lateness_ns < 0 or not self.modalities:
            raise ValueError(
                "a window needs a positive length and hop, a lateness of at least 0 and at least"
                f" one modality: {self}"
            )


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
    """

    stream: str
    index: int
    origin_ns: int
    start_ns: int
    end_ns: int
    samples: dict[Modality, tuple[Sample, ...]]
    degraded: tuple[str, ...]
    newest_ns: int

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
