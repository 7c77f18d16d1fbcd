"""How a client gets to an address: on this machine as it is, to another one with keys."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import structlog
import zmq
from zmq.utils.monitor import recv_monitor_message

from jack_stream.errors import KeysError
from jack_stream.wire.endpoint import check_public, is_local, keep_in_cache
from jack_stream.wire.keys import KeyPair, load_pair, load_public

__all__ = ["HERE", "Access", "Link"]

_AGAIN_S = 10.0
_REFUSALS = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
_log = structlog.get_logger()


@dataclass(frozen=True)
class Access:
    """What a client may use to leave this machine; by default it stays here.

    Attributes:
        own: the client's key pair, None without.
        server: the public key that the other end must prove to have.
        insecure: connect to other machines without keys: everything can be read and forged on the
            way.
    """

    own: KeyPair | None = None
    server: bytes = b""
    insecure: bool = False

    @classmethod
    def of(
        cls, key: Path | str | None, server_key: Path | str | None, *, insecure: bool = False
    ) -> Access:
        """Load the two keys that a client needs.

        Raises:
            KeysError: one of them alone was given, can't be read, or is readable by others.
        """
        if key is None and server_key is None:
            return cls(insecure=insecure)
        if key is None or server_key is None:
            raise KeysError(
                "one needs both keys: one's own and the server's public one",
                hint="--key NAME.key_secret --server-key gate.key",
            )
        own, server = Path(key).expanduser(), Path(server_key).expanduser()
        return cls(load_pair(own), load_public(server))


HERE = Access()


class Link:
    """A connection of a socket, encrypted and authenticated where there are keys.

    libzmq gives up for good when a key is refused, and says nothing; so this says it and tries
    again.

    Args:
        socket: all its options are set; it is used by the thread that calls :meth:`tend`.
        endpoint: where to.
        access: the keys.

    Raises:
        ConfigError: no address.
        KeysError: an address of another machine, without keys.
    """

    def __init__(self, socket: zmq.Socket[bytes], endpoint: str, access: Access = HERE) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._monitor: zmq.Socket[bytes] | None = None
        self._again_s = math.inf
        self._said = ""
        if access.own is not None:
            check_public(endpoint)
            socket.curve_publickey, socket.curve_secretkey = access.own.public, access.own.secret
            socket.curve_serverkey = access.server
            self._monitor = socket.get_monitor_socket(_REFUSALS | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        elif is_local(endpoint):
            keep_in_cache(socket)
        else:
            _warn_of(endpoint, access)
        if access.own is not None or access.insecure:
            socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5000)
        if "[" in endpoint:
            socket.ipv6 = True
        socket.connect(endpoint)

    def tend(self) -> None:
        """Say whether the other end refuses, and try again; to be called every now and then."""
        if self._monitor is None:
            return
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._said = ""
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._again_s = time.monotonic() + _AGAIN_S
                self._say("this key is not allowed there; `jack-stream keys allow` on that machine")
            else:
                self._say("that is no gate, or another one than --server-key says")
        if time.monotonic() > self._again_s:
            self._again_s = math.inf
            self._socket.disconnect(self._endpoint)
            self._socket.connect(self._endpoint)

    def close(self) -> None:
        """Stop watching; before the socket is closed."""
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
            self._monitor = None

    def _say(self, cause: str) -> None:
        if cause != self._said:
            self._said = cause
            _log.warning("refused", endpoint=self._endpoint, cause=cause)


def _warn_of(endpoint: str, access: Access) -> None:
    if not access.insecure:
        raise KeysError(
            f"{endpoint!r} leads to other machines, and nothing would be encrypted",
            hint="Give --key and --server-key (docs/security.md), use a tunnel such as ssh -L"
            " to a loopback address, or say --insecure.",
        )
    _log.warning(
        "connecting WITHOUT encryption: anybody on the way can read and forge it",
        endpoint=endpoint,
    )
