"""Who may come in: sockets that ask for keys, and the one who answers for them (ZAP, RFC 27)."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import structlog
import zmq
from zmq.utils import z85

from jack_stream.errors import ConfigError, KeysError
from jack_stream.wire.keys import ROLES, AllowList, KeyPair, Role, load_pair

__all__ = ["OWN_KEY", "Guard", "bind_public", "check_keys"]

OWN_KEY = "gate.key_secret"
"""The key pair, in the folder of keys, that proves to others who this gate is."""
_ZAP = "inproc://zeromq.zap.01"
_HANDSHAKE_MS = 10_000
_RETRY_S = 0.01
_SAID_AT_MOST = 64
_log = structlog.get_logger()


def check_keys(folder: Path) -> tuple[KeyPair, AllowList]:
    """The gate's own key and the lists of a folder, if they can be used.

    Raises:
        KeysError: one can't be read, or others may read the key or change a list.
    """
    own, allowed = load_pair(folder.expanduser() / OWN_KEY), AllowList(folder.expanduser())
    for role in ROLES:
        allowed.names(role)
    return own, allowed


class Guard:
    """Answers libzmq's question, for each connection, whether its key may do what it came for.

    A key's right is the ZAP domain of the socket that it comes to, so that a subscriber's key is
    refused where captures are taken in. All sockets of the context must be this guard's.

    Args:
        folder: the folder of keys.
        context: a context that has no other guard.

    Raises:
        KeysError: the gate's own key or a list can't be read, or others may read or change it.

    Attributes:
        socket: to be polled; call :meth:`answer` when it is readable.
        admitted: connections that were let in, by role.
        refused: connections that were not.
    """

    def __init__(self, folder: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.admitted: Counter[str] = Counter()
        self.refused = 0
        self._own, self._list = check_keys(folder)
        self._inside: dict[Role, dict[bytes, str]] = {role: {} for role in ROLES}
        self._said: set[tuple[str, str]] = set()
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(_ZAP)

    def protect(self, socket: zmq.Socket[bytes], role: Role) -> None:
        """Let a socket that is to be bound admit keys of a role only."""
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = self._own.public, self._own.secret
        socket.zap_domain = role.encode()
        socket.handshake_ivl = _HANDSHAKE_MS

    def answer(self) -> None:
        """Answer the question that has come, if any."""
        try:
            version, request, domain, address, _, mechanism, *keys = self.socket.recv_multipart(
                zmq.NOBLOCK
            )
        except (zmq.Again, ValueError):
            return
        name = ""
        if version == b"1.0" and mechanism == b"CURVE" and len(keys) == 1:
            name = self._name(domain.decode(), z85.encode(keys[0]), address.decode())
        status = [b"200", b"OK", name.encode()] if name else [b"400", b"not allowed", b""]
        self.socket.send_multipart([b"1.0", request, *status, b""])

    def revoked(self) -> set[Role]:
        """The roles that a key lost after it had been let in; their connections must go."""
        lost: set[Role] = set()
        for role, inside in self._inside.items():
            if inside.items() - self._names(role).items():
                lost.add(role)
                inside.clear()
        return lost

    def _names(self, role: Role) -> dict[bytes, str]:
        try:
            return self._list.names(role)
        except KeysError as error:
            self._say("the list of keys can't be used; nobody is let in", role, str(error))
            return {}

    def _name(self, domain: str, key: bytes, address: str) -> str:
        """Whose key this is if it has the role, else an empty string."""
        for role in ROLES:
            if role == domain and key in (names := self._names(role)):
                self.admitted[role] += 1
                self._inside[role][key] = names[key]
                _log.info("let in", name=names[key], role=role, address=address)
                return names[key]
        self.refused += 1
        others = [role for role in ROLES if key in self._names(role)]
        cause = f"its key may only {others[0]}" if others else "its key is on no list"
        self._say(f"refused a connection that wants to {domain}", address, cause)
        return ""

    def _say(self, what: str, who: str, cause: str) -> None:
        """Log a thing once; a flood of different ones is cut off."""
        if (what + cause, who) not in self._said and len(self._said) < _SAID_AT_MOST:
            self._said.add((what + cause, who))
            _log.warning(what, who=who, cause=cause)

    def close(self) -> None:
        """Stop answering."""
        self.socket.close()


def bind_public(socket: zmq.Socket[bytes], endpoint: str, *, patience_s: float = 0.0) -> str:
    """Bind a socket to an address that other machines may reach.

    Args:
        socket: not bound yet.
        endpoint: ``tcp://host:port``; ``*`` is a free port.
        patience_s: how long to wait for an address that another socket is just giving back.

    Returns:
        the address with its port's number.

    Raises:
        ConfigError: the address is taken or none of this machine's.
    """
    until_s = time.monotonic() + patience_s
    socket.ipv6 = "[" in endpoint
    while True:
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE and time.monotonic() < until_s:
                time.sleep(_RETRY_S)
                continue
            raise ConfigError(
                f"{endpoint}: can't be bound: {os.strerror(error.errno or 0)}",
                hint="Is the port taken, or the address none of this machine's?"
                " It is set in [gate].",
            ) from error
        return socket.getsockopt_string(zmq.LAST_ENDPOINT)
