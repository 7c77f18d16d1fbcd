"""Pictures and sound out of anything that FFmpeg reads, on one time line."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
import structlog
from av.error import InvalidDataError
from numpy.typing import NDArray

from jack_stream.capture.address import MAX_PIXELS
from jack_stream.capture.contents import picture_stream, sound_stream
from jack_stream.capture.pacing import RateLimit
from jack_stream.capture.redact import redact
from jack_stream.capture.samples import Picture, Sample, Sound
from jack_stream.capture.soundtrack import SoundTrack, SoundWanted
from jack_stream.capture.timeline import Timeline
from jack_stream.clock import NS_PER_S
from jack_stream.errors import SourceError

__all__ = ["MediaReader", "MediaWanted", "in_order"]

_MAX_DAMAGED_READS = 1000
_LOOKAHEAD_NS = NS_PER_S
_ROTATIONS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MediaWanted:
    """What to read of a medium.

    Attributes:
        picture: what to do with each picture, mostly a `Resizer`; None leaves them out.
        fps: at most so many pictures a second; None takes all.
        sound: how to deliver the sound; None leaves it out.
        offset_ns: how much later than they show pictures are stamped; taken off every time.
    """

    picture: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None
    fps: float | None
    sound: SoundWanted | None
    offset_ns: int = 0


class MediaReader:
    """Decodes an opened container.

    Media time is the presentation timestamp less the container's start time. Damaged packets and
    pictures are counted (``corrupt_packets``, ``corrupt_frames``) and skipped; timestamps that jump
    back are counted (``timestamp_jumps``) and what has them follows what came before.

    Args:
        container: what :func:`av.open` returned; the caller closes it.
        name: what to call it in errors; passwords are redacted.
        wanted: what to read.
        timeline: where media time lies.
        counters: where to count.

    Attributes:
        end_ns: the media time at which what was read so far ends.

    Raises:
        SourceError: the container has nothing of what is wanted, or pictures that are too large.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        name: str,
        wanted: MediaWanted,
        timeline: Timeline,
        counters: Counter[str],
    ) -> None:
        self._container = container
        self._name = redact(name)
        self._timeline = timeline
        self._counters = counters
        self._start_ns = max(0, container.start_time or 0) * 1000  # is in microseconds
        self.end_ns = 0
        self._video = picture_stream(container) if wanted.picture else None
        self._audio = sound_stream(container) if wanted.sound else None
        if wanted.picture and self._video is None:
            raise SourceError(
                f"{self._name} has no pictures that can be decoded",
                hint="Use it as a microphone's device if its sound is wanted.",
            )
        if self._video is None and self._audio is None:
            raise SourceError(
                f"{self._name} has no sound that can be decoded", hint="Choose a file with sound."
            )
        if self._video is not None:
            self._check_size(self._video.codec_context)
        self._resizer = wanted.picture
        self._offset_ns = wanted.offset_ns
        self._sound_offset_ns = wanted.sound.offset_ns if wanted.sound else 0
        self._limit = RateLimit(wanted.fps)
        self._last_picture_ns = -1
        self._jump_ns = 0
        if wanted.sound and self._audio is not None:
            self._track = SoundTrack(wanted.sound, self._start_ns, counters)

    def samples(self, *, low_delay: bool = False) -> Iterator[Sample]:
        """Yield what is decoded, in the order in which it comes.

        Args:
            low_delay: decode with one thread, which delays pictures less.

        Raises:
            av.error.FFmpegError: reading failed; damaged content doesn't raise.
        """
        streams: list[Any] = [s for s in (self._video, self._audio) if s is not None]
        if self._video is not None:
            self._video.thread_type = "NONE" if low_delay else "AUTO"
            if low_delay:
                self._video.codec_context.thread_count = 1
        for packet in self._packets(streams):
            try:
                frames: list[Any] = packet.decode()
            except InvalidDataError:
                self._counters["corrupt_packets"] += 1
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    yield from self._picture(frame)
                elif isinstance(frame, av.AudioFrame):
                    yield from self._sounds(frame)
        if self._audio is not None:
            yield from self._placed(self._track.flush())

    def _check_size(self, codec: av.VideoCodecContext) -> None:
        codec.options = {**codec.options, "max_pixels": str(MAX_PIXELS)}
        if codec.width * codec.height > MAX_PIXELS:
            raise SourceError(
                f"{self._name} has pictures of {codec.width} x {codec.height};"
                f" at most {MAX_PIXELS} pixels are decoded",
                hint="Make them smaller: ffmpeg -i IN -vf scale=1920:-2 OUT",
            )

    def _packets(self, streams: list[Any]) -> Iterator[av.Packet[Any]]:
        for _ in range(_MAX_DAMAGED_READS):
            try:
                yield from self._container.demux(streams)
            except InvalidDataError:  # noqa: PERF203 (reading is much slower than that)
                self._counters["corrupt_packets"] += 1
            else:
                return
        _log.warning("gave up on a damaged file before its end", source=self._name)

    def _picture(self, frame: av.VideoFrame) -> Iterator[Picture]:
        if frame.is_corrupt or frame.width * frame.height > MAX_PIXELS:
            self._counters["corrupt_frames"] += 1
            return
        at_ns, jumped = self._picture_time(frame)
        self._timeline.observe(at_ns)
        if not self._limit.keeps(at_ns):
            self._counters["skipped_fps"] += 1
            return
        image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        if frame.rotation % 360 in _ROTATIONS:
            image = np.asarray(cv2.rotate(image, _ROTATIONS[frame.rotation % 360]), np.uint8)
        yield Picture(
            self._resize(image),
            (image.shape[1], image.shape[0]),
            self._timeline.captured_at_ns(at_ns) - self._offset_ns,
            self._timeline.origin_ns,
            jumped,
        )

    def _resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self._resizer(image) if self._resizer else image

    def _picture_time(self, frame: av.VideoFrame) -> tuple[int, bool]:
        """Media time of a frame, later than that of the one before, and whether it jumped."""
        rate = self._video.average_rate if self._video is not None else None
        period_ns = int(NS_PER_S / rate) if rate else NS_PER_S // 25
        expected_ns = self._last_picture_ns + period_ns if self._last_picture_ns >= 0 else 0
        at_ns = expected_ns
        jumped = False
        if frame.pts is not None and frame.time_base is not None:
            media_ns = int(frame.pts * frame.time_base * NS_PER_S) - self._start_ns
            at_ns = media_ns + self._jump_ns
            if at_ns <= self._last_picture_ns:
                self._counters["timestamp_jumps"] += 1
                self._jump_ns = expected_ns - media_ns
                at_ns, jumped = expected_ns, True
        self._last_picture_ns = at_ns
        self.end_ns = max(self.end_ns, at_ns + period_ns)
        return at_ns, jumped

    def _sounds(self, frame: av.AudioFrame) -> Iterator[Sound]:
        blocks, end_ns = self._track.push(frame)
        self._timeline.observe(end_ns)
        self.end_ns = max(self.end_ns, end_ns)
        yield from self._placed(blocks)

    def _placed(self, sounds: list[Sound]) -> Iterator[Sound]:
        for sound in sounds:
            yield Sound(
                sound.samples,
                sound.sample_rate,
                self._timeline.captured_at_ns(sound.captured_at_ns) - self._sound_offset_ns,
                self._timeline.origin_ns,
                sound.discontinuity,
            )


def in_order(samples: Iterator[Sample]) -> Iterator[Sample]:
    """Sort pictures and sound, each already in order, by the time when a device would have them.

    Files keep both apart by up to a second or so; what is further apart stays out of order rather
    than being kept in memory.
    """
    waiting: dict[type[Sample], deque[Sample]] = {Picture: deque(), Sound: deque()}
    for sample in samples:
        waiting[type(sample)].append(sample)
        while all(waiting.values()) or _span_ns(waiting) > _LOOKAHEAD_NS:
            yield min(filter(None, waiting.values()), key=_first_end_ns).popleft()
    while any(waiting.values()):
        yield min(filter(None, waiting.values()), key=_first_end_ns).popleft()


def _first_end_ns(queue: deque[Sample]) -> int:
    return queue[0].end_ns


def _span_ns(waiting: dict[type[Sample], deque[Sample]]) -> int:
    return max(queue[-1].end_ns - queue[0].end_ns for queue in waiting.values() if queue)
