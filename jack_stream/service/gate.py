"""The gate: the only process that other machines can reach, and only with a key.

It passes events, health and what the journal keeps out to those who may subscribe, and captures in
from those who may publish. Behind it everything stays on local sockets: what faces the network has
no models, no devices and no files but its keys.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import structlog
import zmq

from jack_stream.clock import TimeSource
from jack_stream.closing import Closing
from jack_stream.config import Config, GateSettings
from jack_stream.errors import ConfigError
from jack_stream.service.captures import CaptureIntake
from jack_stream.wire.access import Link
from jack_stream.wire.codec import MAX_PARTS_BYTES
from jack_stream.wire.guard import Guard, bind_public
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.keys import Role

__all__ = ["Gate", "run"]

_TURN_MS = 200
_LOOK_S = 1.0
_PATIENCE_S = 2.0
_AT_ONCE = 256
_HIGH_WATER_MARK = 10_000
_MAX_SUBSCRIPTION_BYTES = 1024
_MAX_REQUEST_BYTES = 4096
_REQUESTS_WAITING = 64
_REPLIES_WAITING = 4
_MAX_MEMORY_BYTES = 2 * 2**30
"""libzmq keeps the parts of a message that never ends; without memory it cuts the connection."""
_log = structlog.get_logger()


def run(
    config: Config, *, clock: TimeSource, stop: threading.Event, health: HealthReporter
) -> None:
    """Be the gate of a configuration until stopped.

    Raises:
        ConfigError: there is no ``[gate]``, a key is missing or an address can't be bound.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    with Gate(config, clock) as gate:
        detail = "INSECURE: other machines need no keys" if gate.insecure else ""
        while not stop.is_set():
            gate.turn(_TURN_MS)
            health.report("running", gate.counters(), detail=detail)
    health.report("stopped")


class Gate(Closing):
    """All public sockets of a configuration, and what lies behind them.

    Args:
        config: has a ``[gate]``.
        clock: the time line.

    Raises:
        ConfigError: as for :func:`run`.

    Attributes:
        endpoints: door -> its address, with the number of its port.
        insecure: whether anybody may come in.
    """

    def __init__(self, config: Config, clock: TimeSource) -> None:
        if config.gate is None:
            raise ConfigError("the configuration has no [gate]")
        self.endpoints: dict[str, str] = {}
        self.insecure = config.gate.insecure
        self._config = config
        self._passed = 0
        self._looked_s = time.monotonic()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._opened = ExitStack()
        self._opened.callback(self._context.destroy, linger=500)
        self._doors: dict[str, tuple[Role, zmq.Socket[bytes], Callable[[], zmq.Socket[bytes]]]] = {}
        self._sources: dict[str, zmq.Socket[bytes]] = {}
        try:
            self._guard = None if self.insecure else Guard(config.gate.keys, self._context)
            self._captures = CaptureIntake(config, clock)
            self._opened.callback(self._captures.close)
            self._open(config.gate)
        except ConfigError:
            self.close()
            raise
        if self.insecure:
            _log.warning(
                "gate.insecure = true: whoever reaches these addresses reads all events and may"
                " send anything; nothing is encrypted",
                addresses=", ".join(self.endpoints.values()),
            )

    def turn(self, timeout_ms: int) -> None:
        """Wait for something to pass on, and pass it on."""
        poller = zmq.Poller()
        captures, replay = (
            self._doors[name][1] if name in self._doors else None for name in ("captures", "replay")
        )
        guarded = self._guard and self._guard.socket
        for socket in (*self._sources.values(), captures, replay, guarded):
            if socket is not None:
                poller.register(socket, zmq.POLLIN)
        ready = dict(poller.poll(timeout_ms))
        if self._guard is not None and self._guard.socket in ready:
            self._guard.answer()
        for name, source in self._sources.items():
            if source in ready:
                self._pass_out(source, self._doors[name][1])
        if captures is not None and captures in ready:
            self._pass_in(captures)
        if replay is not None and replay in ready:
            self._pass_out(replay, self._sources["replay"])
        if self._guard is not None and time.monotonic() - self._looked_s > _LOOK_S:
            self._looked_s = time.monotonic()
            self._shut_out(self._guard.revoked())

    def counters(self) -> dict[str, int]:
        """What passed and what did not, for health messages."""
        counted = {"passed_out": self._passed, **self._captures.counters}
        if self._guard is not None:
            counted["connections_refused"] = self._guard.refused
            counted |= {f"connections_{r}": n for r, n in self._guard.admitted.items()}
        return counted

    def close(self) -> None:
        """Close everything; what is still on its way to subscribers may take half a second."""
        for source in self._sources.values():
            source.close(linger=0)  # would wait to subscribe to what is not there
        self._opened.close()

    def _open(self, settings: GateSettings) -> None:
        inner = {
            "events": (settings.events, self._config.events.endpoint),
            "health": (settings.health, self._config.events.health_endpoint),
        }
        for name, (outside, inside) in inner.items():
            if outside is not None:
                self._sources[name] = self._context.socket(zmq.SUB)
                self._sources[name].rcvhwm = _HIGH_WATER_MARK
                self._sources[name].subscribe(b"")
                Link(self._sources[name], inside)
                self._add(name, "subscribe", outside, self._outlet)
        if settings.replay is not None:
            self._sources["replay"] = self._context.socket(zmq.DEALER)
            self._sources["replay"].sndhwm = _REQUESTS_WAITING
            Link(self._sources["replay"], self._config.replay_endpoint)
            self._add("replay", "subscribe", settings.replay, self._asked)
        if settings.captures is not None:
            self._add("captures", "publish", settings.captures, self._inlet)

    def _add(
        self, name: str, role: Role, endpoint: str, make: Callable[[], zmq.Socket[bytes]]
    ) -> None:
        def opened() -> zmq.Socket[bytes]:
            socket = make()
            socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
            if self._guard is not None:
                self._guard.protect(socket, role)
            at = self.endpoints.get(name, endpoint)
            self.endpoints[name] = bind_public(socket, at, patience_s=_PATIENCE_S)
            return socket

        self._doors[name] = role, opened(), opened

    def _outlet(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.PUB)
        socket.sndhwm = _HIGH_WATER_MARK
        socket.maxmsgsize = _MAX_SUBSCRIPTION_BYTES
        return socket

    def _asked(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.ROUTER)
        socket.maxmsgsize = _MAX_REQUEST_BYTES
        socket.sndhwm, socket.rcvhwm = _REPLIES_WAITING, _REQUESTS_WAITING
        return socket

    def _inlet(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.SUB)
        socket.maxmsgsize = MAX_PARTS_BYTES
        self._captures.prepare(socket)
        return socket

    def _pass_out(self, source: zmq.Socket[bytes], outlet: zmq.Socket[bytes]) -> None:
        with suppress(zmq.Again):
            for _ in range(_AT_ONCE):
                parts = source.recv_multipart(zmq.NOBLOCK, copy=False)
                outlet.send_multipart(parts, zmq.NOBLOCK, copy=False)
                self._passed += 1

    def _pass_in(self, inlet: zmq.Socket[bytes]) -> None:
        with suppress(zmq.Again):
            for _ in range(_AT_ONCE):
                self._captures.take(inlet.recv_multipart(zmq.NOBLOCK, copy=False))

    def _shut_out(self, revoked: set[Role]) -> None:
        """Cut all connections of these roles; those that are still allowed come back."""
        for name, (role, socket, opened) in self._doors.items():
            if role in revoked:
                _log.info("a key was revoked; all must show theirs again", role=role, door=name)
                socket.close(linger=0)
                self._doors[name] = role, opened(), opened
