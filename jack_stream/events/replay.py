"""Gives out what the journal keeps: one request, one reply (docs/wire-protocol.md)."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import zmq

from jack_stream.errors import ConfigError, JackError, WireError
from jack_stream.events.journal_reader import JournalReader
from jack_stream.wire.endpoint import bind

__all__ = ["MAX_EVENTS", "ReplayHeader", "ReplayRequest", "ReplayServer", "read_reply"]

MAX_EVENTS: Final = 1000
MAX_REPLY_BYTES: Final = 1 << 20
_MAX_REQUEST_BYTES = 4096
_REPLIES_WAITING = 4
_SLICE_MS = 100

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber asks for.

    Attributes:
        v: version of this protocol.
        id: whatever it likes; the reply has the same.
        request: ``events`` that follow a number, or the ``last`` state of each stream.
        after: the number.
        limit: the most events in the reply.
        stream: only this stream's.
        method: only this method's, and no alerts.
        alerts: alerts, too; who does not ask for them knows nothing of them.
    """

    v: Literal[1] = 1
    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    request: Literal["events", "last"]
    after: _Count = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_EVENTS)] = 500
    stream: _Name | None = None
    method: _Name | None = None
    alerts: bool = False


class ReplayHeader(msgspec.Struct, frozen=True, kw_only=True, tag="replay", tag_field="type"):
    """The reply's first part; the others are events.

    Attributes:
        v: version of this protocol.
        id: the request's.
        error: why there is no answer; empty if there is one.
        journal: the journal's name.
        first: number of its oldest event.
        head: number of its newest.
        up_to: everything that was asked for is in here up to this number; go on after it.
        gone: how many numbers, of all streams, were asked for and are deleted.
    """

    v: int = 1
    id: str = ""
    error: str = ""
    journal: str = ""
    first: int = 0
    head: int = 0
    up_to: int = 0
    gone: int = 0


_encode = msgspec.json.Encoder().encode
_request = msgspec.json.Decoder(ReplayRequest)
_header = msgspec.json.Decoder(ReplayHeader)


def read_reply(parts: list[bytes]) -> tuple[ReplayHeader, list[bytes]]:
    """The header and the events' JSON of a reply.

    Raises:
        WireError: it is none.
    """
    try:
        return _header.decode(parts[0]), parts[1:]
    except (IndexError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"this is no reply of a journal: {error}") from error


class ReplayServer:
    """Answers requests in a thread of its own, so that no request holds up what is published.

    Args:
        endpoint: where to bind a ROUTER socket.
        path: the journal; it is opened anew for each request, because it may be replaced.
        context: the ZeroMQ context, by default the process's.

    Raises:
        ConfigError: the endpoint can't be bound.

    Attributes:
        counters: ``requests`` and ``requests_refused``.
    """

    def __init__(
        self,
        endpoint: str,
        path: Path,
        *,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.counters = {"requests": 0, "requests_refused": 0}
        self._path = path
        self._socket = (context or zmq.Context.instance()).socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.SNDHWM, _REPLIES_WAITING)
        self._socket.setsockopt(zmq.RCVHWM, 16)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MAX_REQUEST_BYTES)
        try:
            self.endpoint = bind(self._socket, endpoint)
        except ConfigError:
            self._socket.close()
            raise
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="replay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the reply at hand and release the address."""
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if not self._socket.poll(_SLICE_MS):
                continue
            # Before the request stands where it came from: the sender, perhaps through the gate,
            # and the empty part of a REQ socket. It goes before the reply, too.
            *envelope, request = self._socket.recv_multipart()
            self.counters["requests"] += 1
            # Who takes no replies gets none.
            with suppress(zmq.Again):
                reply = self._answer(request)
                self._socket.send_multipart([*envelope, *reply], flags=zmq.NOBLOCK)

    def _answer(self, asked: bytes) -> list[bytes]:
        try:
            request = _request.decode(asked)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.counters["requests_refused"] += 1
            return [_encode(ReplayHeader(error=f"malformed request: {error}"[:300]))]
        try:
            return self._look_up(request)
        except JackError as error:
            self.counters["requests_refused"] += 1
            cause = f"the journal can't be read now: {type(error).__name__}"
            return [_encode(ReplayHeader(id=request.id, error=cause))]

    def _look_up(self, request: ReplayRequest) -> list[bytes]:
        with JournalReader(self._path) as reader:
            up_to, gone = reader.head, 0
            if request.request == "last":
                events = reader.last(
                    stream=request.stream, method=request.method, alerts=request.alerts
                )
            else:
                page = reader.page(
                    request.after,
                    stream=request.stream,
                    method=request.method,
                    alerts=request.alerts,
                    limit=request.limit,
                    max_bytes=MAX_REPLY_BYTES,
                )
                events, up_to, gone = page.events, page.up_to, page.gone
            header = ReplayHeader(
                id=request.id,
                journal=reader.name,
                first=reader.first,
                head=reader.head,
                up_to=up_to,
                gone=gone,
            )
        return [_encode(header), *events]
