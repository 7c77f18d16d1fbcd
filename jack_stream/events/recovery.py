"""The client's way to the journal: asks for what was missed, page by page."""

from __future__ import annotations

import secrets
import time

import msgspec
import zmq

from jack_stream.errors import ConfigError, WireError
from jack_stream.events.replay import MAX_EVENTS, ReplayHeader, ReplayRequest, read_reply
from jack_stream.wire.access import Access, Link

__all__ = ["ReplayClient"]

_ANSWER_WITHIN_S = 2.0
_MAX_REPLY_BYTES = 8 << 20


class ReplayClient:
    """Asks a journal, one question at a time, without ever waiting.

    Args:
        endpoint: where the journal gives out what it keeps.
        access: the keys for an address of another machine.
        stream: only this stream's events, all if None.
        method: only this method's, all if None.
        context: the ZeroMQ context.

    Raises:
        ConfigError: no address, or one of another machine without keys.

    Attributes:
        endpoint: as given.
        failed: the last question was not answered within two seconds.
    """

    def __init__(
        self,
        endpoint: str,
        access: Access,
        *,
        stream: str | None,
        method: str | None,
        context: zmq.Context[zmq.Socket[bytes]],
    ) -> None:
        self.endpoint = endpoint
        self.failed = False
        self._access = access
        self._stream = stream
        self._method = method
        self._context = context
        self._request: ReplayRequest | None = None
        self._asked_s = 0.0
        self._connect()

    @property
    def waiting(self) -> bool:
        """Whether a question is open."""
        return self._request is not None

    def ask_events(self, after: int) -> None:
        """Ask for the events that follow a number."""
        self._ask(ReplayRequest(
            id=secrets.token_hex(8), request="events", after=after, limit=MAX_EVENTS,
            stream=self._stream, method=self._method, alerts=True,
        ))  # fmt: skip

    def ask_last(self) -> None:
        """Ask how things stand."""
        self._ask(ReplayRequest(
            id=secrets.token_hex(8), request="last", stream=self._stream, method=self._method,
            alerts=True,
        ))  # fmt: skip

    def take(self) -> tuple[ReplayRequest, ReplayHeader, list[bytes]] | None:
        """The answer to the open question with the question, None if it has not come."""
        request = self._request
        if request is None:
            return None
        self._link.tend()
        while self.socket.poll(0):
            try:
                header, events = read_reply(self.socket.recv_multipart()[1:])
            except WireError:
                continue
            if header.id == request.id and not header.error:
                self._request = None
                return request, header, events
        if time.monotonic() - self._asked_s > _ANSWER_WITHIN_S:
            self._request, self.failed = None, True
            self.close()  # what comes too late is of no use
            self._connect()
        return None

    def close(self) -> None:
        """Release the socket."""
        self._link.close()
        self.socket.close(linger=0)

    def _ask(self, request: ReplayRequest) -> None:
        self._request, self.failed = request, False
        self._asked_s = time.monotonic()
        self.socket.send_multipart([b"", msgspec.json.encode(request)], flags=zmq.NOBLOCK)

    def _connect(self) -> None:
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, _MAX_REPLY_BYTES)
        try:
            self._link = Link(self.socket, self.endpoint, self._access)
        except ConfigError:
            self.socket.close()
            raise
