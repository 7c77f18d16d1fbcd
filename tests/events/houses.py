"""The journal's process in a thread, with a feed and subscribers around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jack_stream.clock import Clock
from jack_stream.config import Config, parse
from jack_stream.events.feed import EventFeed
from jack_stream.events.process import Keeper
from jack_stream.events.schema import Event
from jack_stream.events.subscriber import Subscription
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import Health
from tests.events.making import event

__all__ = ["House", "is_taken", "made", "seqs", "synced"]


def made(seq: int, **fields: Any) -> Event:
    """An event that was published just now."""
    return event(seq, **({"published_at_ns": time.time_ns()} | fields))


class House:
    """A configuration whose journal is kept in a thread; it may be ended and begun again."""

    def __init__(self, folder: Path, **journal: Any) -> None:
        table = {
            "runtime": {"directory": str(folder)},
            "events": {"endpoint": f"ipc://{folder}/events"},
            "journal": {"path": str(folder / "state" / "events.sqlite"), **journal},
            "streams": [{"name": "door", "camera": {"source": "0"}}],
        }
        self.config: Config = parse(table, "a test")
        self.keeper: Keeper | None = None
        self._health = HealthReporter("journal", "", clock=Clock(), period_s=0)
        self._seq: dict[tuple[str, str], int] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep and publish while the block runs."""
        stop, ready = threading.Event(), threading.Event()

        def keep() -> None:
            with Keeper(self.config, Clock()) as self.keeper:
                ready.set()
                while not stop.is_set():
                    self.keeper.turn(20)
                    self.keeper.report(self._health)

        thread = threading.Thread(target=keep)
        thread.start()
        assert ready.wait(20), "the journal did not start"
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def feed(self) -> EventFeed:
        return EventFeed(self.config.journal_inbox)

    def subscribe(self, **options: Any) -> Subscription:
        return Subscription(self.config.events.endpoint, **options)

    def send(self, feed: EventFeed, count: int = 1, **fields: Any) -> None:
        """Hand events to the feed and wait until they are journalled and published."""
        for _ in range(count):
            stream, method = fields.get("stream", "door"), fields.get("method", "bpm-gcn")
            seq = feed.next_seq(stream, method)
            feed.publish(made(seq, session=feed.session, **fields))
        self.until(lambda: is_taken(feed))

    def health(self) -> Health:
        self.until(lambda: self._health.last is not None)
        assert self._health.last is not None
        return self._health.last

    @staticmethod
    def until(holds: Any, timeout_s: float = 20.0) -> None:
        until_s = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < until_s, "it did not come to pass"
            time.sleep(0.005)


def is_taken(feed: EventFeed) -> bool:
    """Whether the journal has all that was handed to the feed."""
    feed.tend()
    return feed.waiting == 0


def seqs(subscription: Subscription, count: int) -> list[int]:
    found = [subscription.next(20) for _ in range(count)]
    assert all(e is not None for e in found), found
    return [e.seq for e in found if e is not None]


def synced(house: House, **options: Any) -> Subscription:
    """A subscription that has heard of the journal."""
    subscription = house.subscribe(**options)
    house.until(lambda: subscription.next(0) is None and subscription.position is not None)
    return subscription
