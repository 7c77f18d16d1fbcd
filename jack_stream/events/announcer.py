"""Publishes what is in the journal, and says how far the journal is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import zmq

from jack_stream.errors import ConfigError, WireError
from jack_stream.events.publisher import HIGH_WATER_MARK
from jack_stream.wire.endpoint import bind

__all__ = ["TOPIC", "Announcement", "Announcer", "read_announcement"]

TOPIC = b"journal"
_EVERY_S = 1.0
_MAX_SUBSCRIPTION_BYTES = 1024


class Announcement(msgspec.Struct, frozen=True, kw_only=True, tag="journal", tag_field="type"):
    """How far the journal is; sent each second, and at once when somebody subscribes to it.

    Attributes:
        v: schema version.
        journal: its name; None while nothing can be kept.
        head: number of its newest event.
        replay: where it gives out what it keeps.
    """

    v: int = 1
    journal: str | None
    head: int
    replay: str


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Announcement)


def read_announcement(payload: bytes) -> Announcement:
    """Read what stands below the topic ``journal``.

    Raises:
        WireError: it is none of a version that this release knows.
    """
    try:
        said = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"this is no announcement of a journal: {error}") from error
    if said.v != 1:
        raise WireError(f"announcement version {said.v}; this release knows 1")
    return said


class Announcer:
    """A bound XPUB socket, so that who subscribes is answered at once.

    Args:
        endpoint: where to bind.
        context: the ZeroMQ context, by default the process's.

    Raises:
        ConfigError: the endpoint can't be bound.
    """

    def __init__(
        self, endpoint: str, *, context: zmq.Context[zmq.Socket[bytes]] | None = None
    ) -> None:
        self.socket = (context or zmq.Context.instance()).socket(zmq.XPUB)
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self.socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        self.socket.setsockopt(zmq.MAXMSGSIZE, _MAX_SUBSCRIPTION_BYTES)
        self._due_s = 0.0
        try:
            self.endpoint = bind(self.socket, endpoint)
        except ConfigError:
            self.socket.close()
            raise

    def publish(self, parts: Sequence[bytes]) -> None:
        """Send an event to all who subscribed to it."""
        self.socket.send_multipart(parts)

    def announce(self, journal: str | None, head: int, replay: str) -> None:
        """Say how far the journal is, if somebody came or a second has passed."""
        with suppress(zmq.Again):
            while True:
                if self.socket.recv(zmq.NOBLOCK)[:1] == b"\x01":
                    self._due_s = 0.0
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + _EVERY_S
            self.publish([TOPIC, _encode(Announcement(journal=journal, head=head, replay=replay))])

    def close(self) -> None:
        """Send what is queued for up to a second and release the address."""
        self.socket.close(linger=1000)
