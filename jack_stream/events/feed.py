"""How events and alerts get to the journal: none twice, none lost, and nobody waits.

The sender numbers its events and keeps each until the journal says that it has it. The journal
takes them in order only. When another journal process answers than before, the sender sends all
that it keeps again; what the journal has already is passed over. (The method is go-back-N.)
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import msgspec
import zmq

from jack_stream.errors import ConfigError, WireError
from jack_stream.events.publisher import EventOutlet
from jack_stream.events.schema import AnyEvent, decode, encode
from jack_stream.wire.endpoint import bind, check_endpoint

__all__ = ["EventFeed", "FeedInlet"]

_CAPACITY = 20_000
"""Events that wait in inference while the journal is away: 20 MB, an hour of five a second."""
_ASK_AGAIN_S = 0.5
_CLOSE_WITHIN_S = 2.0
_TAKEN_AT_ONCE = 1000
_MAX_EVENT_BYTES = 1 << 20


class _Header(msgspec.Struct, frozen=True, array_like=True):
    """Comes before an event.

    Attributes:
        session: the sender's run.
        number: the event's, from 0.
        base: the smallest that the sender still keeps.
    """

    session: str
    number: int
    base: int


class _Receipt(msgspec.Struct, frozen=True, array_like=True):
    """Says that a session's events up to a number are journalled and published."""

    run: str
    number: int


_pack = msgspec.msgpack.Encoder().encode
_header = msgspec.msgpack.Decoder(_Header).decode
_receipt = msgspec.msgpack.Decoder(_Receipt).decode


class EventFeed(EventOutlet):
    """The sender's end: hands events to the journal, which publishes them.

    Args:
        endpoint: the journal's address; it need not be there yet.
        patient: wait for the journal when too much is kept, instead of losing the oldest.
        capacity: how many events may be kept.
        resume: the session and the number to go on with, of a sender that remembers them: what
            it sends again under the same number is not taken twice.
        context: the ZeroMQ context, by default the process's.

    Attributes:
        dropped: events that were lost because the journal was away for too long.
        base: number of the first event that the journal has not confirmed.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        patient: bool = False,
        capacity: int = _CAPACITY,
        resume: tuple[str, int] | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        super().__init__()
        self.dropped = 0
        self._patient = patient
        self._capacity = capacity
        self._kept: deque[bytes] = deque()
        if resume is not None:
            self.session = resume[0]
        self.base = self._next = 0 if resume is None else resume[1]
        self._run = ""
        self._heard_s = self._caught_up_s = time.monotonic()
        self._socket = (context or zmq.Context.instance()).socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # what waits for a journal waits here, counted
        self._socket.connect(check_endpoint(endpoint))

    @property
    def waiting(self) -> int:
        """Events that the journal has not confirmed."""
        return len(self._kept)

    def publish(self, event: AnyEvent) -> None:
        """Hand an event to the journal; never waits unless patient."""
        while self._patient and len(self._kept) >= self._capacity:
            self._wait(0.1)
        if len(self._kept) >= self._capacity:
            self._forget(self.base + 1)
            self.dropped += 1
        self._kept.append(encode(event)[1])
        self.published += 1
        self.tend()

    def tend(self) -> None:
        """Take receipts in and send what is to be sent."""
        with suppress(zmq.Again):
            while True:
                self._hear(self._socket.recv(zmq.NOBLOCK))
        end = self.base + len(self._kept)
        with suppress(zmq.Again):
            while self._next < end:
                self._send(self._next)
                self._next += 1
        # What was on its way to a journal that died is nowhere: ask the next one where it stands.
        if self._kept and time.monotonic() - self._heard_s > _ASK_AGAIN_S:
            self._heard_s = time.monotonic()
            with suppress(zmq.Again):
                self._send(self.base)

    def counters(self) -> dict[str, int]:
        """What became of the events, for health messages."""
        return {**super().counters(), "events_dropped": self.dropped}

    def gauges(self) -> dict[str, float]:
        """How far behind the journal is: events, and seconds since it last caught up."""
        now_s = time.monotonic()
        if not self._kept:
            self._caught_up_s = now_s
        return {"journal_lag": float(self.waiting), "journal_lag_s": now_s - self._caught_up_s}

    def close(self) -> None:
        """Wait for up to two seconds until the journal has everything, and release the socket."""
        until_s = time.monotonic() + _CLOSE_WITHIN_S
        while self._kept and time.monotonic() < until_s:
            self._wait(0.05)
        self._socket.close(linger=0)

    def __enter__(self) -> EventFeed:
        return self

    def _wait(self, timeout_s: float) -> None:
        self._socket.poll(round(timeout_s * 1000))
        self.tend()

    def _send(self, number: int) -> None:
        header = _pack(_Header(self.session, number, self.base))
        payload = self._kept[number - self.base]
        self._socket.send_multipart([header, payload], flags=zmq.NOBLOCK)

    def _hear(self, part: bytes) -> None:
        try:
            receipt = _receipt(part)
        except msgspec.DecodeError:
            return  # not from a journal; what it meant is asked for again
        self._heard_s = time.monotonic()
        self._forget(receipt.number + 1)
        if receipt.run != self._run:
            self._run = receipt.run
            self._next = self.base

    def _forget(self, base: int) -> None:
        while self._kept and self.base < base:
            self._kept.popleft()
            self.base += 1
        self._next = max(self._next, self.base)


class FeedInlet:
    """The journal's end: takes events in, each once and in order.

    Args:
        endpoint: where to bind.
        fed: how far a session has been journalled, -1 if not at all.
        context: the ZeroMQ context, by default the process's.

    Raises:
        ConfigError: the endpoint can't be bound.

    Attributes:
        counters: ``events_received``, ``events_repeated``, ``dropped_malformed``.
        taken: session -> how far it was taken in.
    """

    def __init__(
        self,
        endpoint: str,
        fed: Callable[[str], int],
        *,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.counters = {"events_received": 0, "events_repeated": 0, "dropped_malformed": 0}
        self.taken: dict[str, int] = {}
        self._fed = fed
        self._run = secrets.token_hex(4)
        self._due: dict[bytes, str] = {}
        self.socket = (context or zmq.Context.instance()).socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 200)
        self.socket.setsockopt(zmq.MAXMSGSIZE, _MAX_EVENT_BYTES)
        try:
            bind(self.socket, endpoint)
        except ConfigError:
            self.socket.close()
            raise

    def take(self) -> list[AnyEvent]:
        """The new events that have come, a thousand at most."""
        events: list[AnyEvent] = []
        with suppress(zmq.Again):
            for _ in range(_TAKEN_AT_ONCE):
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
                try:
                    event = self._look(parts)
                except (WireError, msgspec.DecodeError):
                    self.counters["dropped_malformed"] += 1
                    continue
                if event is not None:
                    events.append(event)
        self.counters["events_received"] += len(events)
        return events

    def confirm(self) -> None:
        """Say that all that was taken is journalled and published."""
        for sender, session in self._due.items():
            receipt = _Receipt(self._run, self.taken[session])
            with suppress(zmq.Again):  # whoever takes no receipts sends again
                self.socket.send_multipart([sender, _pack(receipt)], flags=zmq.NOBLOCK)
        self._due.clear()

    def close(self) -> None:
        """Release the socket."""
        self.socket.close()

    def _look(self, parts: list[bytes]) -> AnyEvent | None:
        """The event of a message, None if it is not its turn."""
        if len(parts) != 3:
            raise WireError("an event on its way to the journal has a header and itself")
        sender, head, payload = parts
        header = _header(head)
        if header.session not in self.taken:
            self.taken[header.session] = self._fed(header.session)
        last = self.taken[header.session]
        self._due[sender] = header.session
        if header.number <= last:
            self.counters["events_repeated"] += 1
            return None
        if header.number not in {last + 1, header.base}:
            return None  # one before it was lost; the receipt makes the sender go back
        self.taken[header.session] = header.number
        return decode([b"", payload])
