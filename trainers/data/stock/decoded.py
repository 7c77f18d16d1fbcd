"""Decoding everything of a recording, to see whether it can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jack_stream.errors import SourceError
from trainers.data.clip_media import pictures, samples_of

__all__ = ["Decoded"]


@dataclass(frozen=True)
class Decoded:
    """A piece of work (`trainers.data.prepare.pieces`) that makes nothing.

    Attributes:
        name: of the recording.
        frames: its video or folder of pictures, None without.
        n_frames: pictures that it should have.
        sound: its sound, None without.
    """

    name: str
    frames: Path | None
    n_frames: int
    sound: Path | None

    def done(self) -> bool:
        """Never: nobody remembers that it could be decoded."""
        return False

    def make(self) -> None:
        """Decode it all; a `SourceError` says what can't be."""
        if self.frames is not None:
            count = sum(1 for _ in pictures(self.frames))
            if count != self.n_frames:
                raise SourceError(f"{self.frames}: ends after {count} of {self.n_frames} pictures")
        if self.sound is not None:
            samples_of(self.sound, 16000)
