"""The receiving end: a thread that never stops draining, so that what is read is fresh."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterable
from typing import NamedTuple

import structlog
import zmq

from jack_stream import trace
from jack_stream.closing import Closing
from jack_stream.errors import ConfigError, WireError
from jack_stream.wire.access import HERE, Access, Link
from jack_stream.wire.borrower import Borrower
from jack_stream.wire.codec import MAX_PARTS_BYTES, Part, decode, kind_of
from jack_stream.wire.messages import End, Kind, Message
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import BYE, HELLO, HIGH_WATER_MARK

__all__ = ["DEFAULT_CAPACITY", "Received", "Receiver"]

DEFAULT_CAPACITY: dict[Kind, int] = {
    "frame": 32,
    "view.112": 32,
    "view.224": 32,
    "audio": 512,
    "pose": 256,
    "end": 8,
    "health": 64,
}
"""Messages of a kind and stream that wait at the most before the oldest is dropped."""
_MAX_QUEUES = 256
_MAX_BYES = 64
_MAX_GAP = 1_000_000
_POLL_MS = 50
_log = structlog.get_logger()


class Received(NamedTuple):
    """A message, decoded and in its parts."""

    message: Message
    parts: list[Part]


class Receiver(Closing):
    """Receives messages of some kinds from some publishers.

    A thread of its own takes every message off the sockets at once. With :attr:`Policy.LIVE` it
    keeps the newest ones of each kind and stream; with :attr:`Policy.LOSSLESS` it stops taking
    when its queue is full, and the senders wait. At any time
    ``received = used + dropped + waiting``.

    Args:
        endpoints: the publishers' addresses; they need not exist yet.
        kinds: what to receive.
        policy: what happens when :meth:`get` is not called often enough.
        capacity: the longest queue per kind and stream, where not :data:`DEFAULT_CAPACITY`.
        awaited: whether this counts among the receivers that publishers wait for before they
            begin. Not so for those who only look on: nothing may begin without the others for them.
        access: the keys for addresses of other machines.
        context: the ZeroMQ context, by default the process's.

    Attributes:
        received: messages that came, malformed ones included.
        used: messages that :meth:`get` handed out.
        dropped: by reason: ``superseded`` by newer ones, ``malformed``, of ``too_many`` streams.
        lost: messages that were sent but never came, from gaps in the sequence numbers, by stream;
            a million at most for one gap.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        kinds: Collection[Kind],
        *,
        policy: Policy = Policy.LIVE,
        capacity: dict[Kind, int] | None = None,
        awaited: bool = True,
        access: Access = HERE,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.received = 0
        self.used = 0
        self.dropped: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._policy = policy
        self._capacity = {**DEFAULT_CAPACITY, **(capacity or {})}
        self._queues: dict[tuple[Kind, str], deque[tuple[int, Received]]] = {}
        self._last: dict[tuple[Kind, str], tuple[str, int]] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._warned: set[str] = set()
        self._byes: deque[bytes] = deque()
        # A dash: it will not say when it has a session's end, because it takes none.
        self._name = ("" if "end" in kinds else "-").encode() + secrets.token_hex(8).encode()
        self._socket = (context or zmq.Context.instance()).socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_PARTS_BYTES)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        try:
            self._links = [Link(self._socket, endpoint, access) for endpoint in endpoints]
        except ConfigError:
            self._socket.close()
            raise
        self._borrower = Borrower()
        if "frame" in kinds and access is HERE:
            for topic in self._borrower.topics:
                self._socket.subscribe(topic)
        for kind in kinds:
            self._socket.subscribe(f"{kind}.")
        if awaited:
            self._socket.subscribe(HELLO + self._name)
        self._thread = threading.Thread(target=self._pump, name="receiver", daemon=True)
        self._thread.start()

    def get(self, timeout_s: float) -> Message | None:
        """The oldest waiting message, or None if there is none for ``timeout_s`` seconds."""
        received = self.get_received(timeout_s)
        return None if received is None else received.message

    def get_received(self, timeout_s: float) -> Received | None:
        """Like :meth:`get`, with the parts as they came."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._waiting(), timeout_s)
            queues = [queue for queue in self._queues.values() if queue]
            if not queues:
                return None
            _, received = min(queues, key=lambda queue: queue[0][0]).popleft()
            self.used += 1
            self._changed.notify_all()
            return received

    def get_parts(self, timeout_s: float) -> list[Part] | None:
        """Like :meth:`get`, but the parts as they came, for those who pass them on."""
        received = self.get_received(timeout_s)
        return None if received is None else received.parts

    def waiting(self) -> int:
        """Messages that have come and were not yet handed out."""
        with self._changed:
            return self._waiting()

    def counters(self) -> dict[str, int]:
        """What came, what was used, what was dropped and why, for health messages."""
        with self._changed:
            dropped = {f"dropped_{reason}": n for reason, n in self.dropped.items()}
            lost = sum(self.lost.values())
            return {"received": self.received, "used": self.used, "lost": lost, **dropped}

    def close(self) -> None:
        """Stop receiving. Messages that wait are still handed out."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _waiting(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def _pump(self) -> None:
        with contextlib.closing(self._socket):
            while not self._stopped:
                for link in self._links:
                    link.tend()
                if not self._socket.poll(_POLL_MS):
                    self._borrower.tend()
                    continue
                frames = self._socket.recv_multipart(copy=False)
                self._take([frame.buffer for frame in frames])
            for link in self._links:
                link.close()
        self._borrower.close()

    def _take(self, parts: list[Part]) -> None:
        began_ns = trace.now_ns()
        try:
            resolved = self._borrower.resolve(parts)
            if resolved is None:
                return
            message = decode(resolved)
        except WireError as error:
            with self._changed:
                self.received += 1
                self.dropped["malformed"] += 1
            self._warn_once(str(error))
            return
        key = (kind_of(message), message.stamp.stream)
        with self._changed:
            self.received += 1
            if key not in self._queues and len(self._queues) >= _MAX_QUEUES:
                self.dropped["too_many"] += 1
                return
            self._count_lost(key, message)
            queue = self._queues.setdefault(key, deque())
            limit = self._capacity[key[0]]
            if self._policy is Policy.LOSSLESS:
                self._changed.wait_for(lambda: self._stopped or len(queue) < limit)
            elif len(queue) >= limit:
                queue.popleft()
                self.dropped["superseded"] += 1
            queue.append((self.received, Received(message, resolved)))
            self._changed.notify_all()
        trace.message("receive", message, began_ns)
        if isinstance(message, End):
            self._say_bye(message.stamp.session)

    def _say_bye(self, session: str) -> None:
        """Let the sender know that this has its end; old news are taken back."""
        bye = BYE + self._name + b"." + session.encode()
        if bye not in self._byes:
            self._socket.subscribe(bye)
            self._byes.append(bye)
        if len(self._byes) > _MAX_BYES:
            self._socket.unsubscribe(self._byes.popleft())

    def _count_lost(self, key: tuple[Kind, str], message: Message) -> None:
        stamp = message.stamp
        session, seq = self._last.get(key, (stamp.session, stamp.seq - 1))
        if session == stamp.session and stamp.seq > seq + 1:
            self.lost[stamp.stream] += min(stamp.seq - seq - 1, _MAX_GAP)
        self._last[key] = (stamp.session, stamp.seq)

    def _warn_once(self, cause: str) -> None:
        """Log a cause the first time; a flood of different ones is cut off."""
        if cause not in self._warned and len(self._warned) < 16:
            self._warned.add(cause)
            _log.warning("dropped a malformed message", cause=cause)
