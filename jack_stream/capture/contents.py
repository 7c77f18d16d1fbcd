"""What a media file holds: which of its streams are read, and how long it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from jack_stream.capture.address import openable
from jack_stream.errors import SourceError

__all__ = ["Contents", "contents_of", "picture_stream", "sound_stream"]


@dataclass(frozen=True)
class Contents:
    """What is in a file.

    Attributes:
        duration_s: its length in seconds; None where it does not say.
        pictures: whether it has any that can be decoded; a cover is none.
        sound: whether it has any that can be decoded.
    """

    duration_s: float | None
    pictures: bool
    sound: bool


def contents_of(file: Path) -> Contents:
    """Look into a file, without decoding anything.

    Raises:
        SourceError: it is no media file, or a damaged one.
    """
    place, limits = openable(str(file))
    try:
        with av.open(place, options=dict(limits), metadata_errors="replace") as container:
            return Contents(
                duration_s=container.duration / 1e6 if container.duration else None,
                pictures=picture_stream(container) is not None,
                sound=sound_stream(container) is not None,
            )
    except FFmpegError as error:
        raise SourceError(
            f"{file}: can't be read as a video or sound file: {error.strerror}",
            hint="Is it complete? `ffprobe FILE` says what is in it.",
        ) from error


def picture_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The best video stream that is more than a cover picture."""
    stream = _decodable(container.streams.best("video"))
    if isinstance(stream, av.VideoStream) and not (
        stream.disposition & av.stream.Disposition.attached_pic
    ):
        return stream
    return None


def sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The best sound stream."""
    stream: av.AudioStream | None = _decodable(container.streams.best("audio"))
    return stream


def _decodable(stream: Any) -> Any:
    """A stream if FFmpeg knows its codec."""
    return None if stream is None or stream.codec_context is None else stream
