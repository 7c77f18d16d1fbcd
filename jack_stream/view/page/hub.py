"""Between the captures and the browsers: who looks, and what goes to whom."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from jack_stream.config import Config
from jack_stream.events.schema import Alert, AnyEvent, encode
from jack_stream.events.subscriber import Subscription
from jack_stream.service.plan import sources
from jack_stream.view.page.looking import Looking
from jack_stream.view.page.pictures import Pictures, Rendition
from jack_stream.view.page.viewer import Viewer
from jack_stream.wire.messages import Health
from jack_stream.wire.receiver import Receiver

if TYPE_CHECKING:
    from jack_stream.view.faces import FaceBlur

__all__ = ["Hub"]

_SLICE_S = 0.1
_PICTURES_PER_S = 12.0
_LEVEL_EVERY_S = 0.2
_KEPT = 1000
"""Events that a browser gets when it comes, well below what may wait for it (viewer.py)."""
_log = structlog.get_logger()


class Hub:
    """Everything of the page that is not HTTP.

    Captures are listened to only while someone looks. A picture is blurred once and encoded once
    per size, for however many browsers.

    Args:
        config: the system that is looked at; ``config.view`` says whether faces are shown.

    Attributes:
        counters: ``pictures`` that were sent, ``dismissed`` browsers that took nothing.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.streams = [stream.name for stream in config.streams]
        self.counters: Counter[str] = Counter()
        self._viewers: set[Viewer] = set()
        self._events: deque[str] = deque(maxlen=_KEPT)
        self._alerts: dict[tuple[object, ...], str] = {}  # that have begun and not ended
        self._health: dict[str, str] = {}
        self._stop = threading.Event()
        self._new = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            await asyncio.gather(asyncio.to_thread(self._listen), self._show())
        finally:
            self._stop.set()

    @property
    def viewers(self) -> int:
        """How many browsers look."""
        return len(self._viewers)

    def join(self, viewer: Viewer) -> None:
        """A browser came: it gets how things stand, and then everything new."""
        for text in (*self._health.values(), *self._events, *self._alerts.values()):
            viewer.send(text)
        self._viewers.add(viewer)
        self._new.set()

    def leave(self, viewer: Viewer) -> None:
        """A browser went."""
        self._viewers.discard(viewer)

    def ready(self) -> None:
        """Some browser may be ready for a picture."""
        self._new.set()

    def hear(self, event: AnyEvent) -> None:
        """Take an event or alert, and tell all who look."""
        text = encode(event)[1].decode()
        self._events.append(text)
        if isinstance(event, Alert):
            about = (event.stream, event.rule, event.model.method, event.person)
            if event.state == "began":
                self._alerts[about] = text
            else:
                self._alerts.pop(about, None)
        self._tell(text)

    def _listen(self) -> None:
        """Events and health, in a thread."""
        events = self.config.events
        with (
            Subscription(events.endpoint) as subscription,
            Receiver([events.health_endpoint], {"health"}, awaited=False) as reports,
        ):
            while not self._stop.is_set():
                event = subscription.take(_SLICE_S)
                if event is not None:
                    self._call(self.hear, event)
                while isinstance(report := reports.get(0), Health):
                    self._call(self._take_health, report)

    def _call(self, function: Callable[..., None], *given: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the page has ended
            self._loop.call_soon_threadsafe(function, *given)

    def _take_health(self, health: Health) -> None:
        text = json.dumps(
            {
                "type": "health",
                "process": health.process,
                "stream": health.stamp.stream,
                "state": health.state,
                "counters": health.counters,
                "gauges": health.gauges,
                "detail": health.detail,
            }
        )
        self._health[health.process] = text
        self._tell(text)

    def _tell(self, text: str) -> None:
        for viewer in list(self._viewers):
            if not viewer.send(text):
                _log.warning("a browser does not take what it is sent; it is sent away")
                self._viewers.discard(viewer)
                viewer.dismiss()
                self.counters["dismissed"] += 1

    async def _show(self) -> None:
        """Look while there are viewers, and hand pictures out."""
        while True:
            await self._new.wait()
            if not self._viewers:
                self._new.clear()
                continue
            await self._show_while_watched()

    async def _show_while_watched(self) -> None:
        blur = None if self.config.view.show_faces else await asyncio.to_thread(_blur)
        pictures = {stream: Pictures(blur) for stream in self.streams}
        looking = Looking(
            {stream: sources(self.config, stream) for stream in self.streams},
            frozenset(s.name for s in self.config.streams if s.pose is not None),
            lambda _: self._call(self._new.set),
        )
        try:
            level_due = 0.0
            while self._viewers:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._new.wait(), _LEVEL_EVERY_S)
                self._new.clear()
                for stream in self.streams:
                    await self._hand_out(stream, looking, pictures[stream])
                if self._loop.time() >= level_due:
                    level_due = self._loop.time() + _LEVEL_EVERY_S
                    self._tell(json.dumps({"type": "levels", "dbfs": looking.levels()}))
                await asyncio.sleep(1 / _PICTURES_PER_S)
        finally:
            await asyncio.to_thread(looking.close)
            if blur is not None:
                blur.close()

    async def _hand_out(self, stream: str, looking: Looking, pictures: Pictures) -> None:
        look = looking.newest(stream)
        if look is None:
            return
        wanted: dict[Rendition, list[Viewer]] = {}
        for viewer in self._viewers:
            if (rendition := viewer.wants(stream, look)) is not None:
                wanted.setdefault(rendition, []).append(viewer)
        for rendition, viewers in wanted.items():
            data = await asyncio.to_thread(pictures.render, stream, look, rendition)
            for viewer in viewers:
                viewer.sent(stream, look)
                viewer.send(data)
                self.counters["pictures"] += 1


def _blur() -> FaceBlur:
    from jack_stream.view.faces import FaceBlur  # noqa: PLC0415 - MediaPipe, once someone looks

    return FaceBlur()
