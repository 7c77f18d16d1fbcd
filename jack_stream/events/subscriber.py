"""The client: an iterator over events that reconnects and fetches what it missed."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import structlog
import zmq

from jack_stream.closing import Closing
from jack_stream.errors import ConfigError, WireError
from jack_stream.events.announcer import TOPIC, Announcement, read_announcement
from jack_stream.events.place import Place
from jack_stream.events.recovery import ReplayClient
from jack_stream.events.replay import ReplayHeader, ReplayRequest
from jack_stream.events.schema import Alert, AnyEvent, Event, decode, topic_of
from jack_stream.wire.access import HERE, Access, Link

__all__ = ["DEFAULT_ENDPOINT", "Subscription", "subscribe"]

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5577"
_POLL_MS = 100
_REST_S = 1.0
_GIVE_UP_AFTER_S = 60.0
_log = structlog.get_logger()


class Subscription(Closing):
    """Iterates over events: first how things stand, then what comes, without gap or duplicate.

    Alerts come among the events; :meth:`take` gives both, :meth:`alerts` only these.

    The publisher need not be there yet and may come and go. What is published meanwhile is fetched
    from the journal, if there is one, and comes in order before what is new.

    Args:
        endpoint: where events are published.
        stream: only this stream's events, all if None.
        method: only this method's events, and no alerts; all if None.
        timeout_s: iteration ends after so long without an event; never if None.
        position: where to go on: what :attr:`position` was when the program ended before.
        retained: whether the last state of each stream comes first, marked as ``retained``, for
            those who begin without a position.
        replay: where the journal gives out what it keeps. By default what the publisher says,
            if it is on this machine; otherwise nothing is fetched.
        access: the keys for an address of another machine.
        context: the ZeroMQ context, by default the process's.

    Raises:
        ConfigError: an endpoint is no address, or of another machine without keys.
        UsageError: ``position`` is none.

    Attributes:
        received: events that were handed out, retained ones too.
        malformed: messages that were no events, dropped.
        missed: events that are missing in what was handed out, by the gaps in their ``seq``.
        gone: numbers of the journal, of all streams, that were to be fetched and are deleted there,
            or could not be fetched for a minute.
        replaced: how often the journal was another one than before. What the old one had and
            this subscriber had not can't be fetched.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        stream: str | None = None,
        method: str | None = None,
        timeout_s: float | None = None,
        position: str | None = None,
        retained: bool = True,
        replay: str | None = None,
        access: Access = HERE,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.received = 0
        self.malformed = 0
        self.missed = 0
        self.gone = 0
        self._timeout_s = timeout_s
        self._stream = stream
        self._method = method
        self._place = Place(position, by_stream=stream is not None)
        self._retained_due = retained and position is None
        self._ready: deque[AnyEvent] = deque()
        self._handed = self._place.covered
        self._last: dict[bytes, tuple[str, int]] = {}
        self._endpoint = endpoint
        self._access = access
        self._context = context or zmq.Context.instance()
        self._replay: ReplayClient | None = None
        self._fixed_replay = replay
        self._failing_since_s = 0.0
        self._rest_until_s = 0.0
        self._heard_s = 0.0
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 10_000)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._link = Link(self._socket, endpoint, access)
        except ConfigError:
            self._socket.close()
            raise
        # The stream's other methods come too: its numbers are complete only with them.
        for kind in ("event", "alert"):
            self._socket.subscribe(f"{kind}.{stream}." if stream else f"{kind}.")
        self._socket.subscribe(TOPIC)
        if replay is not None:
            self._connect_replay(replay)

    @property
    def position(self) -> str | None:
        """What to give to a later :class:`Subscription` to go on after the last event handed out.

        None while no journal was heard of.
        """
        if not self._place.journal:
            return None
        return f"{self._place.journal}:{self._handed if self._ready else self._place.covered}"

    @property
    def replaced(self) -> int:
        """See the class."""
        return self._place.replaced

    def next(self, timeout_s: float | None = None) -> Event | None:
        """The next event, or None if none comes for ``timeout_s`` seconds (None waits for ever)."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while isinstance(said := self.take(timeout_s), Alert):
            timeout_s = None if until is None else max(0.0, until - time.monotonic())
        return said

    def take(self, timeout_s: float | None = None) -> AnyEvent | None:
        """The next event or alert, as :meth:`next`."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._ready:
            left_ms = _POLL_MS if until is None else int((until - time.monotonic()) * 1000)
            self._turn(max(0, min(left_ms, _POLL_MS)))
            if not self._ready and until is not None and time.monotonic() >= until:
                return None
        event = self._ready.popleft()
        if event.position is not None and not event.retained:
            self._handed = event.position.number
        self.received += isinstance(event, Event)
        return event

    def alerts(self) -> Iterator[Alert]:
        """The alerts as they come; first those that have begun and not ended."""
        while (said := self.take(self._timeout_s)) is not None:
            if isinstance(said, Alert):
                yield said

    def __iter__(self) -> Iterator[Event]:
        while (event := self.next(self._timeout_s)) is not None:
            yield event

    def close(self) -> None:
        """Release the sockets."""
        self._link.close()
        self._socket.close()
        if self._replay is not None:
            self._replay.close()

    def _turn(self, timeout_ms: int) -> None:
        """Wait for something from the journal while it is asked, else from the publisher."""
        self._link.tend()
        self._ask()
        replay = self._replay
        if replay is None or not replay.waiting:
            if self._socket.poll(timeout_ms):
                self._receive(self._socket.recv_multipart())
            return
        replay.socket.poll(timeout_ms)
        answer = replay.take()
        if answer is not None:
            self._failing_since_s = 0.0
            self._learn(*answer)
        elif replay.failed:
            now_s = time.monotonic()
            self._failing_since_s = self._failing_since_s or now_s
            self._rest_until_s = now_s + _REST_S

    def _ask(self) -> None:
        """Ask the journal for what is missing, if anything is."""
        due = self._place.is_behind or (self._retained_due and self._place.journal)
        if not due or time.monotonic() < self._rest_until_s:
            return
        # In vain only where the publisher is there all the time, and the journal's socket never.
        failing_s = time.monotonic() - (self._failing_since_s or math.inf)
        if failing_s > _GIVE_UP_AFTER_S and self._heard_s > self._rest_until_s - _REST_S:
            self._give_up("it does not answer")
        elif self._replay is None or self._replay.waiting:
            return
        elif self._retained_due:
            self._replay.ask_last()
        else:
            self._replay.ask_events(self._place.covered)

    @property
    def _is_alone(self) -> bool:
        """Whether nothing can be fetched: what the publisher says is no address for this end."""
        return self._replay is None and self._heard_s > 0

    def _give_up(self, cause: str) -> None:
        if self._place.is_behind:
            _log.warning("events are missing and can't be fetched from the journal", cause=cause)
        self._failing_since_s = 0.0
        self._retained_due = False
        self.gone += self._place.target - self._place.covered
        self._place.give_up()

    def _receive(self, parts: list[bytes]) -> None:
        try:
            if parts[0] == TOPIC:
                self._hear(read_announcement(b"".join(parts[1:])))
                return
            event = decode(parts)
        except WireError:
            self.malformed += 1
            return
        if event.position is not None and not self._place.is_next(event.position):
            if not (self._is_alone and self._place.is_behind):
                return
            self._give_up("its address is not known; give `replay`")
        self._admit(event)

    def _hear(self, said: Announcement) -> None:
        self._heard_s = time.monotonic()
        if said.journal is None:
            return
        if self._fixed_replay is None and self._access == HERE:
            replay = _beside(self._endpoint, said.replay)
            if self._replay is None or self._replay.endpoint != replay:
                self._connect_replay(replay)
        if self._place.hear(said.journal, said.head):
            _log.warning("the journal is another one than before", endpoint=self._endpoint)
        if self._is_alone and self._place.is_behind:
            self._give_up("its address is not known; give `replay`")

    def _learn(self, asked: ReplayRequest, said: ReplayHeader, payloads: list[bytes]) -> None:
        """Take what the journal answered."""
        if said.journal != self._place.journal:
            self._place.hear(said.journal, said.head)
            return
        events = [decode([b"", payload]) for payload in payloads]
        if asked.request == "last":
            self._retained_due = False
            # What is newer than the place to begin comes anyway.
            events = [e for e in events if e.position and e.position.number <= self._place.covered]
        else:
            self.gone += said.gone
            self._place.fetched(said.up_to, said.head)
        for event in events:
            self._admit(event)

    def _admit(self, event: AnyEvent) -> None:
        """Make an event ready to be handed out, unless it was."""
        is_alert = isinstance(event, Alert)
        if self._method is not None and (is_alert or event.model.method != self._method):
            return
        if is_alert and event.retained:  # it need not be the rule's newest
            self._ready.append(event)
            return
        key = topic_of(event)
        session, seq = self._last.get(key, (event.session, event.seq - 1))
        if session == event.session:
            if event.seq <= seq and self._place.journal:
                return  # it came before, or was published again by the next journal process
            if not event.retained:
                self.missed += max(0, event.seq - seq - 1)
        self._last[key] = (event.session, event.seq)
        self._ready.append(event)

    def _connect_replay(self, endpoint: str) -> None:
        if self._replay is not None:
            self._replay.close()
            self._replay = None
        self._replay = ReplayClient(
            endpoint, self._access, stream=self._stream, method=self._method, context=self._context
        )


def _beside(endpoint: str, said: str) -> str:
    """The address that a publisher says, as it is from here.

    Its port is right behind a tunnel, too; the host is the one that is connected to already.
    """
    if endpoint.startswith("tcp://") and said.startswith("tcp://"):
        host = endpoint.removeprefix("tcp://").rpartition(":")[0]
        return f"tcp://{host}:{said.rpartition(':')[2]}"
    return said


def subscribe(
    endpoint: str = DEFAULT_ENDPOINT,
    *,
    stream: str | None = None,
    method: str | None = None,
    timeout_s: float | None = None,
    position: str | None = None,
    retained: bool = True,
    replay: str | None = None,
    key: Path | str | None = None,
    server_key: Path | str | None = None,
) -> Subscription:
    """Receive events as they are published.

    Each turn of ``for event in subscribe():`` gives one :class:`Event`, each of
    ``for alert in subscribe().alerts():`` one :class:`Alert`.

    Args:
        endpoint: where events are published (``events.endpoint`` of the configuration).
        stream: only this stream's events.
        method: only this method's events, and no alerts.
        timeout_s: iteration ends after so long without an event.
        position: where to go on, as :attr:`Subscription.position` was.
        retained: whether the last state of each stream comes first, marked as ``retained``.
        replay: where the journal gives out what it keeps, if the publisher can't say it.
        key: file of one's own secret key, for the gate of another machine.
        server_key: file of that gate's public key.

    Raises:
        ConfigError: the endpoint is no address, or of another machine and the keys are missing.
        UsageError: ``position`` is none.
    """
    return Subscription(
        endpoint,
        stream=stream,
        method=method,
        timeout_s=timeout_s,
        position=position,
        retained=retained,
        replay=replay,
        access=Access.of(key, server_key),
    )
