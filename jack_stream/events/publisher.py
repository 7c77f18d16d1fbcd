"""Publishes events to whoever subscribes."""

from __future__ import annotations

import secrets
from types import TracebackType

import zmq

from jack_stream.errors import ConfigError
from jack_stream.events.schema import Event, encode
from jack_stream.wire.endpoint import bind

__all__ = ["EventPublisher"]

_HIGH_WATER_MARK = 10_000


class EventPublisher:
    """A bound PUB socket with a sequence number per stream and method.

    Args:
        endpoint: where to bind.
        context: the ZeroMQ context, by default the process's.

    Raises:
        ConfigError: the endpoint can't be bound.

    Attributes:
        session: the random name of this run.
        published: events sent so far.
    """

    def __init__(
        self, endpoint: str, *, context: zmq.Context[zmq.Socket[bytes]] | None = None
    ) -> None:
        self.session = secrets.token_hex(4)
        self.published = 0
        self._next_seq: dict[tuple[str, str], int] = {}
        self._socket = (context or zmq.Context.instance()).socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, _HIGH_WATER_MARK)
        try:
            self.endpoint = bind(self._socket, endpoint)
        except ConfigError:
            self._socket.close()
            raise

    def next_seq(self, stream: str, method: str) -> int:
        """The number for the next event of a stream and method."""
        seq = self._next_seq.get((stream, method), 0)
        self._next_seq[stream, method] = seq + 1
        return seq

    def publish(self, event: Event) -> None:
        """Send an event to all who subscribed to it."""
        self._socket.send_multipart(encode(event))
        self.published += 1

    def close(self) -> None:
        """Send what is queued for up to a second and release the address."""
        self._socket.close(linger=1000)

    def __enter__(self) -> EventPublisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
