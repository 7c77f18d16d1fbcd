"""Opening files and addresses with FFmpeg, and what its errors mean to a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.error import (
    FFmpegError,
    HTTPForbiddenError,
    HTTPUnauthorizedError,
    ProtocolNotFoundError,
)

from jack_stream.capture.address import is_address, openable
from jack_stream.capture.media import MediaReader, MediaWanted, in_order
from jack_stream.capture.redact import redact
from jack_stream.capture.samples import Sample, after_gap
from jack_stream.capture.timeline import ArrivalTimeline, LiveTimeline, MediaTimeline
from jack_stream.clock import TimeSource
from jack_stream.errors import SourceError, SourceLostError

__all__ = ["Medium"]

_LIVE_ONLY = ("rtsp:", "rtsps:", "rtmp:", "rtmps:", "rtp:", "udp:", "srt:")
_LOW_DELAY = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
"""Measured against a server on loopback: 61 ms from glass to frame instead of up to 1.1 s."""
_WITHOUT_TIMESTAMPS = ("mpjpeg", "mjpeg", "h264", "hevc")
"""Formats for which FFmpeg makes timestamps up, at 25 pictures a second."""
_HOPELESS = (HTTPUnauthorizedError, HTTPForbiddenError, ProtocolNotFoundError)


@dataclass(frozen=True, slots=True)
class Medium:
    """A video or sound file, or an address.

    Attributes:
        source: path or URL.
        wanted: what to read of it.
        loop: whether recorded media start again at their end.
        open_timeout_s: for connecting; addresses only.
        read_timeout_s: an address that sends nothing for so long is lost.
        gauges: where ``clock_drift_ppm`` is kept for live streams: how much faster the sender's
            clock runs than ours.
    """

    source: str
    wanted: MediaWanted
    loop: bool = False
    open_timeout_s: float = 10.0
    read_timeout_s: float = 5.0
    gauges: dict[str, float] = field(default_factory=dict)

    def samples(self, clock: TimeSource, counters: Counter[str]) -> Generator[Sample, None, None]:
        """Yield pictures and sound; recorded media in order and with an origin, live ones as is.

        Raises:
            SourceError: it can't be opened or holds nothing of what is wanted.
            SourceLostError: a live stream ended, stalled, or can't be reached now.
        """
        timeline = MediaTimeline(clock)
        again = False
        while True:
            with self._opened() as container:
                live = self._only_live or (is_address(self.source) and container.duration is None)
                if live:
                    yield from self._live(container, clock, counters)
                reader = MediaReader(container, self.source, self.wanted, timeline, counters)
                samples = in_order(reader.samples())
                yield from after_gap(samples) if again else samples
                if reader.end_ns == 0:
                    raise SourceError(
                        f"nothing in {redact(self.source)} could be decoded",
                        hint="The file is damaged; try to play it with another program.",
                    )
            if not self.loop:
                return
            timeline.begin_loop(reader.end_ns)
            again = True

    @property
    def _only_live(self) -> bool:
        return self.source.lower().startswith(_LIVE_ONLY)

    def _live(
        self, container: av.container.InputContainer, clock: TimeSource, counters: Counter[str]
    ) -> Iterator[Sample]:
        invented = container.format.name in _WITHOUT_TIMESTAMPS
        timeline = ArrivalTimeline(clock) if invented else LiveTimeline(clock, self.gauges)
        reader = MediaReader(container, self.source, self.wanted, timeline, counters)
        yield from reader.samples(low_delay=True)
        raise SourceLostError(f"{redact(self.source)} ended the stream")

    @contextmanager
    def _opened(self) -> Iterator[av.container.InputContainer]:
        address = is_address(self.source)
        if not address:
            _check_file(self.source)
        place, limits = openable(self.source)
        try:
            container = av.open(
                place,
                options={**limits, **(_LOW_DELAY if self._only_live else {})},
                timeout=(self.open_timeout_s, self.read_timeout_s) if address else None,
                metadata_errors="replace",
            )
        except FFmpegError as error:
            raise self._refusal(error) from error
        with container:
            try:
                yield container
            except FFmpegError as error:
                name, cause = redact(self.source), redact(error.strerror or str(error))
                if address:
                    raise SourceLostError(f"{name} was lost: {cause}") from error
                raise SourceError(f"{name} can't be read any further: {cause}") from error

    def _refusal(self, error: FFmpegError) -> SourceError:
        name, cause = redact(self.source), redact(error.strerror or str(error))
        if isinstance(error, _HOPELESS):
            return SourceError(
                f"{name} refuses: {cause}", hint="Check the address, user name and password."
            )
        if is_address(self.source):
            return SourceLostError(f"{name} can't be opened: {cause}")
        return SourceError(
            f"{name} can't be opened: {cause}",
            hint="It is damaged or no video or sound file; try to play it with another program.",
        )


def _check_file(source: str) -> None:
    path = Path(source)
    if not path.exists():
        raise SourceError(f"there is no file {source}", hint="Check the path.")
    if not path.is_file():
        raise SourceError(f"{source} is no file", hint="Give a video or sound file.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise SourceError(
            f"{source} can't be read: {error.strerror}", hint="Check its owner and permissions."
        ) from error
