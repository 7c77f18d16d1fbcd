"""The sending end: one bound socket, to which any number of receivers connect.

Or one that connects to another machine's gate, which takes in what it sends.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import structlog
import zmq
from numpy.typing import NDArray

from jack_stream import trace
from jack_stream.clock import TimeSource
from jack_stream.closing import Closing
from jack_stream.errors import ConfigError
from jack_stream.wire.access import Access, Link
from jack_stream.wire.codec import KIND_OF_VIEW, MAX_PARTS_BYTES, Part, decode, encode
from jack_stream.wire.endpoint import bind
from jack_stream.wire.lender import INVITATION, Lender
from jack_stream.wire.messages import Audio, End, Frame, Kind, Message, Poses, Stamp, View
from jack_stream.wire.policy import Policy
from jack_stream.wire.slots import SLOT_BYTES

__all__ = ["BYE", "HELLO", "HIGH_WATER_MARK", "Publisher", "Views", "flush"]

Views: TypeAlias = Mapping[View, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]
"""How views are made of a picture, uint8 ``[H, W, 3]`` RGB."""

HELLO = b"hello."
"""Receivers subscribe to this and their own name, last, so that a publisher knows who listens."""
BYE = b"bye."
"""Receivers subscribe to this, their name and a session once they have that session's end.

A publisher that closed before would lose what is on the way: libzmq drops what it has not yet
read of a connection that is closed while the receiver's queue is full.
"""
HIGH_WATER_MARK = 64
"""Messages per receiver in either socket. Freshness is the receiver's work, not this number's."""
_RETRY_S = 0.002
_MOST_OBLONG = 64
_SLOT_WAIT_S = 0.1
_log = structlog.get_logger()
_PATIENCE_S = {Policy.LIVE: 1.0, Policy.LOSSLESS: 60.0}


def flush() -> None:
    """Wait until what closed sockets still hold is sent; for the end of a process.

    What is queued is sent from Python's memory, which must not go away before: without this libzmq
    aborts at exit ("Bad address"), and the end of the stream is lost.
    """
    zmq.Context.instance().term()


class Publisher(Closing):
    """Publishes one stream's messages, numbering them by kind.

    All methods may be called from any thread.

    Args:
        endpoint: where to bind; ``ipc://`` or loopback ``tcp://``.
        stream: the stream's name.
        policy: whether a slow receiver loses messages or holds this sender up.
        clock: the time line; only read by :meth:`end` without a time.
        wait_for: how many receivers :meth:`wait_for_receivers` waits for.
        views: what it makes of each picture for those receivers that ask for it.
        access: connect to the endpoint, which is a gate's, with these keys instead of binding it.
        context: the ZeroMQ context, by default the process's.

    Raises:
        ConfigError: the endpoint can't be bound, or keys are needed to connect to it.
    """

    def __init__(
        self,
        endpoint: str,
        stream: str,
        *,
        policy: Policy,
        clock: TimeSource,
        wait_for: int = 0,
        views: Views | None = None,
        access: Access | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.stream = stream
        self.session = secrets.token_hex(4)
        self.policy = policy
        self.counters: dict[str, int] = {"sent": 0}
        self._clock = clock
        self._wait_for = wait_for
        self._views = views or {}
        self._asked: Counter[bytes] = Counter()
        self._willing: set[bytes] = set()
        self._lender: Lender | None = None
        self._lends = access is None  # who connects to a gate is on another machine
        self._slot_wait_s = _SLOT_WAIT_S if policy is Policy.LOSSLESS else 0.0
        self._next_seq: dict[Kind, int] = {}
        self._receivers: set[bytes] = set()
        self._ended: set[bytes] = set()
        self._byes: set[bytes] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._stop = threading.Event()
        self._socket = (context or zmq.Context.instance()).socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_VERBOSER, 1)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_PARTS_BYTES)
        if policy is Policy.LOSSLESS:
            self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._link: Link | None = None
        try:
            if access is None:
                self.endpoint = bind(self._socket, endpoint)
            else:
                self._link = Link(self._socket, endpoint, access)
                self.endpoint = endpoint
        except ConfigError:
            self._socket.close()
            raise

    def frame(
        self,
        image: NDArray[np.uint8],
        captured_at_ns: int,
        *,
        source_size: tuple[int, int] | None = None,
        discontinuity: bool = False,
        origin_ns: int = 0,
    ) -> bool:
        """Publish a picture (uint8 ``[H, W, 3]`` RGB); False if closed meanwhile."""
        size = source_size or (image.shape[1], image.shape[0])
        return self._send_numbered(
            "frame",
            lambda seq: Frame(
                self._stamp(seq, captured_at_ns, origin_ns), image, size, discontinuity
            ),
        )

    def audio(
        self,
        samples: NDArray[np.float32],
        sample_rate: int,
        captured_at_ns: int,
        *,
        discontinuity: bool = False,
        origin_ns: int = 0,
    ) -> bool:
        """Publish mono sound (float32 ``[n]``) that begins at ``captured_at_ns``."""
        return self._send_numbered(
            "audio",
            lambda seq: Audio(
                self._stamp(seq, captured_at_ns, origin_ns), samples, sample_rate, discontinuity
            ),
        )

    def poses(
        self,
        ids: Sequence[int],
        scores: Sequence[float],
        keypoints: NDArray[np.float32],
        world: NDArray[np.float32],
        captured_at_ns: int,
        *,
        frame_size: tuple[int, int],
        origin_ns: int = 0,
    ) -> bool:
        """Publish the people of one frame (arrays float32 ``[P, 33, 4]``, P may be 0)."""
        return self._send_numbered(
            "pose",
            lambda seq: Poses(
                self._stamp(seq, captured_at_ns, origin_ns),
                tuple(ids),
                tuple(scores),
                keypoints,
                world,
                frame_size,
            ),
        )

    def end(self, reason: str, captured_at_ns: int | None = None, *, origin_ns: int = 0) -> bool:
        """Publish that nothing follows; the time is now unless given."""
        at_ns = self._clock.now_ns() if captured_at_ns is None else captured_at_ns
        return self._send_numbered(
            "end", lambda seq: End(self._stamp(seq, at_ns, origin_ns), reason)
        )

    def send(self, message: Message) -> bool:
        """Publish a message with the stamp that it has, and the views of a picture."""
        began_ns = trace.now_ns()
        if isinstance(message, Frame):
            self.send_views(message)
        is_sent = self.send_parts(encode(message))
        trace.message("send", message, began_ns)
        return is_sent

    def send_views(self, frame: Frame) -> None:
        """Publish those views of a picture that a receiver asks for, each made once.

        There are none of a picture without extent, or more than 64 times as long as wide.
        """
        short, long = sorted(frame.image.shape[:2])
        if not 0 < long <= _MOST_OBLONG * short:
            return
        with self._lock:
            if not self._closed.is_set():
                self._hear()
            asked = [
                one for one in self._views if self._asked[f"{KIND_OF_VIEW[one]}.".encode()] > 0
            ]
        for view in asked:
            self.send_parts(encode(replace(frame, image=self._views[view](frame.image), view=view)))

    def send_parts(self, parts: Sequence[Part]) -> bool:
        """Publish an encoded message, unchanged.

        Returns:
            False if the publisher was closed, or told to stop, before a slow receiver had room.
        """
        slot: int | None = None
        try:
            while not self._closed.is_set():
                with self._lock:
                    if self._closed.is_set():
                        break
                    self._hear()
                    lender = self._lender_of(parts)
                    if lender is None:
                        has_sent = self._has_sent(parts)
                    else:
                        slot = lender.put(parts[2], self._slot_wait_s) if slot is None else slot
                        has_sent = self._has_sent(lender.lent(parts, slot))
                        if has_sent:
                            lender.sent(slot, self._willing)
                            slot = None
                if has_sent:
                    return True
                if self._stop.wait(_RETRY_S):
                    break
            return False
        finally:
            self._free(slot)

    def unblock_on(self, stop: threading.Event) -> None:
        """Let sends that wait for a full receiver give up once ``stop`` is set."""
        self._stop = stop

    def wait_for_receivers(self, stop: threading.Event) -> bool:
        """Wait until as many receivers as were asked for listen; False if stopped before."""
        while not stop.is_set() and not self._closed.is_set():
            with self._lock:
                self._hear()
                if len(self._receivers) >= self._wait_for:
                    return True
            stop.wait(_RETRY_S)
        return False

    def close(self) -> None:
        """Wait until the receivers have what was sent up to the end, and release the address.

        For up to a second, or a minute under the lossless policy unless told to stop. A process
        that ends must :func:`flush` after.
        """
        patience_s = _PATIENCE_S[self.policy]
        until_s = time.monotonic() + patience_s
        while not self._closed.is_set() and time.monotonic() < until_s and not self._is_done():
            if self._stop.wait(_RETRY_S):
                break
        self._closed.set()
        linger_s = 1.0 if self._stop.is_set() else patience_s
        with self._lock:
            if self._link is not None:
                self._link.close()
            self._socket.close(linger=int(linger_s * 1000))
            if self._lender is not None:
                self._lender.close()

    def _is_done(self) -> bool:
        """Whether all receivers that listen for ends have those that were sent."""
        with self._lock:
            self._hear()
            names = {name.removeprefix(HELLO) for name in self._receivers}
            wanted = {b"%s.%s" % (name, end) for name in names for end in self._ended}
            return all(bye in self._byes for bye in wanted if not bye.startswith(b"-"))

    def _lender_of(self, parts: Sequence[Part]) -> Lender | None:
        """Who lends this to all who get it, if it is a picture that all of them can see so."""
        topic = bytes(parts[0])
        if not self._lends or not self._willing or not topic.startswith(b"frame."):
            return None
        if self._lender is None:
            try:
                self._lender = Lender()
            except OSError as error:
                self._lends = False
                _log.warning("pictures go through the socket", cause=error.strerror)
                return None
        self._lender.tend()
        self._lender.invite(self._willing, self._has_sent)
        listeners = sum(n for asked, n in self._asked.items() if topic.startswith(asked))
        everyone = listeners == len(self._willing) and self._lender.names >= self._willing
        fits = len(parts) == 3 and 0 < len(parts[2]) <= SLOT_BYTES
        return self._lender if everyone and fits else None

    def _free(self, slot: int | None) -> None:
        if slot is not None and self._lender is not None:
            with self._lock:
                self._lender.free(slot)

    def _has_sent(self, parts: Sequence[Part]) -> bool:
        """Whether there was room for a message."""
        try:
            self._socket.send_multipart(list(parts), flags=zmq.NOBLOCK, copy=False)
        except zmq.Again:  # only lossless sockets say so: a receiver is full
            return False
        self.counters["sent"] += not bytes(parts[0]).startswith(INVITATION)
        if bytes(parts[0]).startswith(b"end."):
            self._ended.add(decode(parts).stamp.session.encode())
        return True

    def _stamp(self, seq: int, captured_at_ns: int, origin_ns: int) -> Stamp:
        return Stamp(self.stream, seq, captured_at_ns, self.session, origin_ns)

    def _send_numbered(self, kind: Kind, make: Callable[[int], Message]) -> bool:
        with self._lock:
            seq = self._next_seq.get(kind, 0)
            self._next_seq[kind] = seq + 1
        return self.send(make(seq))

    def _hear(self) -> None:
        """Read who has come and gone."""
        if self._link is not None:
            self._link.tend()
        while True:
            try:
                said = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if said[1:].startswith(HELLO):
                if said[0]:
                    self._receivers.add(said[1:])
                else:
                    self._receivers.discard(said[1:])
            elif said[0] and said[1:].startswith(BYE):
                self._byes.add(said[1:].removeprefix(BYE))
            elif said[1:].startswith(INVITATION):
                name = said[1:].removeprefix(INVITATION)
                (self._willing.add if said[0] else self._willing.discard)(name)
            else:
                self._asked[said[1:]] += 1 if said[0] else -1
                self._asked += Counter()  # without those that nobody asks for any more
