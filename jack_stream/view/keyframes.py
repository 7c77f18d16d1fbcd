"""The moments of a file that show best what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.address import openable
from jack_stream.capture.media import MediaReader, MediaWanted
from jack_stream.capture.resize import Resizer
from jack_stream.capture.samples import Picture
from jack_stream.capture.timeline import MediaTimeline
from jack_stream.clock import NS_PER_S, Clock
from jack_stream.errors import SourceError
from jack_stream.events.schema import Event
from jack_stream.view.groups import Who, by_whom

__all__ = ["KeyFrame", "Moment", "choose", "take"]

Image = NDArray[np.uint8]
_WIDTH = 480
_JPEG_QUALITY = 80


@dataclass(frozen=True)
class Moment:
    """A moment worth a picture.

    Attributes:
        who: of whom.
        event: what was said then.
        at_s: seconds of media time, the middle of the event's window.
    """

    who: Who
    event: Event
    at_s: float


@dataclass(frozen=True)
class KeyFrame:
    """A moment and its picture, as JPEG."""

    moment: Moment
    jpeg: bytes


def choose(events: Iterable[Event]) -> list[Moment]:
    """For everyone the surest event of each label, whole windows before degraded ones; by time."""
    moments = []
    for who, found in by_whom(events).items():
        surest: dict[str, Event] = {}
        for event in found:
            best = surest.get(event.label)
            if best is None or _rank(event) > _rank(best):
                surest[event.label] = event
        for event in surest.values():
            middle_s = (event.window.start_s + event.window.end_s) / 2
            moments.append(Moment(who, event, middle_s))
    return sorted(moments, key=lambda one: one.at_s)


def take(file: Path, moments: Sequence[Moment], change: Callable[[Image], Image]) -> list[KeyFrame]:
    """The pictures of moments out of a file.

    Args:
        file: a video file.
        moments: in the order of their times.
        change: what is done to each picture, uint8 ``[H, W, 3]`` RGB, before it is kept.

    Raises:
        SourceError: the file can't be read, or has no pictures.
    """
    if not moments:
        return []
    place, limits = openable(str(file))
    wanted = MediaWanted(Resizer(_WIDTH), None, None)
    frames: list[KeyFrame] = []
    try:
        with av.open(place, options=dict(limits)) as container:
            reader = MediaReader(container, str(file), wanted, MediaTimeline(Clock()), Counter())
            for sample in reader.samples():
                if not isinstance(sample, Picture):
                    continue
                at_s = (sample.captured_at_ns - sample.origin_ns) / NS_PER_S
                while len(frames) < len(moments) and moments[len(frames)].at_s <= at_s:
                    frames.append(KeyFrame(moments[len(frames)], _jpeg(change(sample.image))))
                if len(frames) == len(moments):
                    break
    except av.FFmpegError as error:
        raise SourceError(f"{file}: can't be read: {error.strerror}") from error
    return frames


def _rank(event: Event) -> tuple[bool, float]:
    return not event.degraded, event.confidence


def _jpeg(image: Image) -> bytes:
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not ok:
        raise SourceError("a picture could not be encoded as JPEG")
    return bytes(data)
