"""Publishes events to whoever subscribes."""

from __future__ import annotations

import secrets
from abc import abstractmethod

import zmq

from jack_stream.closing import Closing
from jack_stream.errors import ConfigError
from jack_stream.events.schema import AnyEvent, encode
from jack_stream.wire.endpoint import bind

__all__ = ["HIGH_WATER_MARK", "EventOutlet", "EventPublisher"]

HIGH_WATER_MARK = 10_000
"""Events that wait for a subscriber that does not read."""


class EventOutlet(Closing):
    """Where inference's events go, with a sequence number per stream and method.

    Attributes:
        session: the random name of this run.
        published: events handed over so far.
    """

    def __init__(self) -> None:
        self.session = secrets.token_hex(4)
        self.published = 0
        self._next_seq: dict[tuple[str, str], int] = {}

    def next_seq(self, stream: str, method: str) -> int:
        """The number for the next event of a stream and method."""
        seq = self._next_seq.get((stream, method), 0)
        self._next_seq[stream, method] = seq + 1
        return seq

    @abstractmethod
    def publish(self, event: AnyEvent) -> None:
        """Hand an event on."""

    def tend(self) -> None:
        """Do what is due; to be called every now and then."""
        return

    def counters(self) -> dict[str, int]:
        """What became of the events, for health messages."""
        return {"events": self.published}

    def gauges(self) -> dict[str, float]:
        """How far behind whoever takes the events is, for health messages."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Send what is queued, within seconds, and release the address."""


class EventPublisher(EventOutlet):
    """A bound PUB socket: events go straight to the subscribers and are kept nowhere.

    Args:
        endpoint: where to bind.
        context: the ZeroMQ context, by default the process's.

    Raises:
        ConfigError: the endpoint can't be bound.
    """

    def __init__(
        self, endpoint: str, *, context: zmq.Context[zmq.Socket[bytes]] | None = None
    ) -> None:
        super().__init__()
        self._socket = (context or zmq.Context.instance()).socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        try:
            self.endpoint = bind(self._socket, endpoint)
        except ConfigError:
            self._socket.close()
            raise

    def publish(self, event: AnyEvent) -> None:
        """Send an event to all who subscribed to it."""
        self._socket.send_multipart(encode(event))
        self.published += 1

    def close(self) -> None:
        """Send what is queued for up to a second and release the address."""
        self._socket.close(linger=1000)

    def __enter__(self) -> EventPublisher:
        return self
