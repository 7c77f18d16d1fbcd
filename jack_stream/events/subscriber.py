"""The client: an iterator over events that reconnects and notices what it missed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import zmq

from jack_stream.errors import ConfigError, WireError
from jack_stream.events.schema import Event, decode
from jack_stream.wire.access import HERE, Access, Link

__all__ = ["DEFAULT_ENDPOINT", "Subscription", "subscribe"]

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5577"
_POLL_MS = 100


class Subscription:
    """Iterates over events as they are published.

    The publisher need not be there yet and may come and go: ZeroMQ reconnects.

    Args:
        endpoint: where events are published.
        stream: only this stream's events, all if None.
        method: only this method's events (with ``stream``), all if None.
        timeout_s: iteration ends after so long without an event; never if None.
        access: the keys for an address of another machine.
        context: the ZeroMQ context, by default the process's.

    Attributes:
        received: events that were handed out.
        malformed: messages that were no events, dropped.
        missed: events that were published but never came, by the gaps in their numbers.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        stream: str | None = None,
        method: str | None = None,
        timeout_s: float | None = None,
        access: Access = HERE,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.received = 0
        self.malformed = 0
        self.missed = 0
        self._timeout_s = timeout_s
        self._last: dict[tuple[str, str], tuple[str, int]] = {}
        self._socket = (context or zmq.Context.instance()).socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 10_000)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._link = Link(self._socket, endpoint, access)
        except ConfigError:
            self._socket.close()
            raise
        words = ["event", *([stream] if stream else []), *([method] if stream and method else [])]
        self._socket.subscribe(".".join(words) + ("" if stream and method else "."))
        self._method = method

    def next(self, timeout_s: float | None = None) -> Event | None:
        """The next event, or None if none comes for ``timeout_s`` seconds (None waits for ever)."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._link.tend()
            left_ms = _POLL_MS if until is None else int((until - time.monotonic()) * 1000)
            if not self._socket.poll(max(0, min(left_ms, _POLL_MS))):
                if until is not None and time.monotonic() >= until:
                    return None
                continue
            event = self._take(self._socket.recv_multipart())
            if event is not None:
                return event

    def __iter__(self) -> Iterator[Event]:
        while (event := self.next(self._timeout_s)) is not None:
            yield event

    def close(self) -> None:
        """Release the socket."""
        self._link.close()
        self._socket.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, parts: list[bytes]) -> Event | None:
        try:
            event = decode(parts)
        except WireError:
            self.malformed += 1
            return None
        if self._method is not None and event.model.method != self._method:
            return None
        key = (event.stream, event.model.method)
        session, seq = self._last.get(key, (event.session, event.seq - 1))
        if session == event.session and event.seq > seq + 1:
            self.missed += event.seq - seq - 1
        self._last[key] = (event.session, event.seq)
        self.received += 1
        return event


def subscribe(
    endpoint: str = DEFAULT_ENDPOINT,
    *,
    stream: str | None = None,
    method: str | None = None,
    timeout_s: float | None = None,
    key: Path | str | None = None,
    server_key: Path | str | None = None,
) -> Subscription:
    """Receive events as they are published.

    Each turn of ``for event in subscribe():`` gives one :class:`Event`.

    Args:
        endpoint: where events are published (``events.endpoint`` of the configuration).
        stream: only this stream's events.
        method: only this method's events.
        timeout_s: iteration ends after so long without an event.
        key: file of one's own secret key, for the gate of another machine.
        server_key: file of that gate's public key.

    Raises:
        ConfigError: the endpoint is no address, or of another machine and the keys are missing.
    """
    access = Access.of(key, server_key)
    return Subscription(endpoint, stream=stream, method=method, timeout_s=timeout_s, access=access)
