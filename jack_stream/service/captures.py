"""What other machines capture, checked and handed on as if it had been captured here."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence

import structlog
import zmq

from jack_stream.clock import TimeSource
from jack_stream.config import Config, RemoteSettings
from jack_stream.errors import WireError
from jack_stream.features.views import VIEWS
from jack_stream.wire.codec import decode, kind_of
from jack_stream.wire.messages import Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import HELLO, Publisher

__all__ = ["CaptureIntake"]

_HIGH_WATER_MARK = 16
_SAID_AT_MOST = 64
_log = structlog.get_logger()


class CaptureIntake:
    """Publishes remote streams' messages on this machine, each from its own key alone.

    Whatever is malformed, of a stream that is not remote, of a kind that was not announced, or of
    another key than the stream's, is counted and dropped.

    Args:
        config: its ``[streams.remote]`` sections say who may send what.
        clock: the time line.

    Attributes:
        counters: ``captures`` that were handed on, ``dropped_...`` by reason.
    """

    def __init__(self, config: Config, clock: TimeSource) -> None:
        self.counters: Counter[str] = Counter()
        self._insecure = config.gate is not None and config.gate.insecure
        self._said: set[str] = set()
        self._streams: dict[str, tuple[RemoteSettings, Publisher]] = {}
        for stream in config.streams:
            if stream.remote is not None:
                endpoint = config.capture_endpoint(stream.name, "remote")
                publisher = Publisher(
                    endpoint, stream.name, policy=Policy.LIVE, clock=clock, views=VIEWS
                )
                self._streams[stream.name] = stream.remote, publisher

    def prepare(self, socket: zmq.Socket[bytes]) -> None:
        """Set a SUB socket up before it is bound."""
        socket.rcvhwm = _HIGH_WATER_MARK
        for kind in {kind for remote, _ in self._streams.values() for kind in remote.kinds} | {
            "end"
        }:
            socket.subscribe(f"{kind}.")
        # A dash: senders need not wait until this has their end (docs/wire-protocol.md).
        socket.subscribe(HELLO + b"-" + secrets.token_hex(8).encode())

    def take(self, frames: Sequence[zmq.Frame]) -> None:
        """Hand a message on, or drop and count it."""
        try:
            message = decode([frame.buffer for frame in frames])
        except WireError as error:
            self._drop("malformed", str(error))
            return
        name = message.stamp.stream
        if name not in self._streams:
            self._drop("unknown_stream", f"stream {name!r} is not remote")
            return
        remote, publisher = self._streams[name]
        sender = "" if self._insecure else _sender(frames[0])
        if sender != remote.key and not self._insecure:
            self._drop("foreign", f"the key {sender!r} sends stream {name!r} of {remote.key!r}")
        elif kind_of(message) not in (*remote.kinds, "end"):
            self._drop("unknown_kind", f"{kind_of(message)} of stream {name!r}")
        else:
            if isinstance(message, Frame):
                publisher.send_views(message)
            publisher.send_parts([frame.buffer for frame in frames])
            self.counters["captures"] += 1

    def close(self) -> None:
        """Release the local addresses."""
        for _, publisher in self._streams.values():
            publisher.close()

    def _drop(self, reason: str, cause: str) -> None:
        self.counters[f"dropped_{reason}"] += 1
        if cause not in self._said and len(self._said) < _SAID_AT_MOST:
            self._said.add(cause)
            _log.warning("dropped a remote message", cause=cause)


def _sender(frame: zmq.Frame) -> str:
    """The name of the key that a message came with."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
