"""How processes say how they fare, to the supervisor that collects it."""

from __future__ import annotations

import secrets

import zmq

from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.closing import Closing
from jack_stream.wire.codec import encode
from jack_stream.wire.endpoint import check_endpoint
from jack_stream.wire.messages import Health, Stamp, State

__all__ = ["HealthReporter"]


class HealthReporter(Closing):
    """Sends a process's health, at most once per period unless its state changes.

    Args:
        process: the process's name, such as ``camera.door``.
        stream: the stream that it serves, or an empty string.
        clock: the time line.
        endpoint: where the supervisor collects health; None keeps reports to :attr:`last`.
        period_s: the least time between two reports of the same state.
    """

    def __init__(
        self,
        process: str,
        stream: str,
        *,
        clock: TimeSource,
        endpoint: str | None = None,
        period_s: float = 0.5,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.last: Health | None = None
        self.process = process
        self._stream = stream
        self._clock = clock
        self._period_ns = int(period_s * NS_PER_S)
        self._session = secrets.token_hex(4)
        self._seq = 0
        self._socket: zmq.Socket[bytes] | None = None
        if endpoint is not None:
            self._socket = (context or zmq.Context.instance()).socket(zmq.PUSH)
            self._socket.setsockopt(zmq.SNDHWM, 16)
            self._socket.setsockopt(zmq.LINGER, 200)
            self._socket.connect(check_endpoint(endpoint))

    def report(
        self,
        state: State,
        counters: dict[str, int] | None = None,
        gauges: dict[str, float] | None = None,
        detail: str = "",
    ) -> None:
        """Say how the process fares now. Never blocks; called as often as is handy."""
        now_ns = self._clock.now_ns()
        last = self.last
        if (
            last is not None
            and last.state == state
            and now_ns - last.stamp.captured_at_ns < self._period_ns
        ):
            return
        stamp = Stamp(self._stream, self._seq, now_ns, self._session)
        health = Health(
            stamp, self.process, state, dict(counters or {}), dict(gauges or {}), detail
        )
        self._seq += 1
        self.last = health
        if self._socket is not None:
            try:
                self._socket.send_multipart(encode(health), flags=zmq.NOBLOCK)
            except zmq.Again:
                return  # nobody collects: a process must not wait for its supervisor

    def close(self) -> None:
        """Release the socket."""
        if self._socket is not None:
            self._socket.close()
