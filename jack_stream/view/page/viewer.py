"""One browser that looks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from jack_stream.view.page.pictures import Rendition

__all__ = ["Said", "Viewer"]

_MAX_WAITING = 2000
_SMALL, _LARGE = 480, 1280
_QUALITIES = ((0.1, 80), (0.3, 60), (float("inf"), 35))
"""JPEG quality by the seconds that a picture takes to the browser and back."""


class Said(msgspec.Struct, frozen=True, tag_field="type", tag="seen"):
    """What a browser says: it has drawn a stream's picture, and what it wants next.

    Attributes:
        stream: which.
        size: ``large`` for the one that fills the page, ``none`` while it can't be seen.
    """

    stream: str
    size: Literal["small", "large", "none"] = "small"


@dataclass
class _Showing:
    """How one stream is shown."""

    size: Literal["small", "large", "none"] = "small"
    sent_s: float | None = None  # None: the browser is ready for the next
    took_s: float = 0.0
    shown: object = None


@dataclass(eq=False)
class Viewer:
    """What one browser is to be sent.

    A stream's next picture goes out when the one before has been drawn, so the rate is what the
    network and the browser can carry, and nothing piles up. Text must all arrive; who does not
    take it is sent away, and comes back for the newest.
    """

    streams: list[str]
    waiting: asyncio.Queue[str | bytes | None] = field(
        default_factory=lambda: asyncio.Queue(_MAX_WAITING)
    )
    """Messages to send; None is the end."""
    _showing: dict[str, _Showing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._showing = {stream: _Showing() for stream in self.streams}

    def send(self, message: str | bytes) -> bool:
        """Put a message in line; False where the line is too long, as the browser takes nothing."""
        try:
            self.waiting.put_nowait(message)
        except asyncio.QueueFull:
            return False
        return True

    def dismiss(self) -> None:
        """Send it away: what waits is dropped, and the end put in its place."""
        while not self.waiting.empty():
            self.waiting.get_nowait()
        self.waiting.put_nowait(None)

    def wants(self, stream: str, picture: object) -> Rendition | None:
        """In what form it wants this picture now, or None if it does not."""
        how = self._showing[stream]
        if how.size == "none" or how.sent_s is not None or how.shown is picture:
            return None
        quality = next(quality for limit, quality in _QUALITIES if how.took_s < limit)
        return Rendition(_LARGE if how.size == "large" else _SMALL, quality)

    def sent(self, stream: str, picture: object) -> None:
        """A picture is on its way."""
        how = self._showing[stream]
        how.sent_s, how.shown = time.monotonic(), picture

    def hear(self, said: Said) -> None:
        """The browser is ready for a stream's next picture."""
        how = self._showing.get(said.stream)
        if how is None:
            return
        if how.sent_s is not None:
            how.took_s += 0.3 * (time.monotonic() - how.sent_s - how.took_s)
        how.size, how.sent_s = said.size, None
