"""Where sockets are, and whether only this machine can reach them."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import zmq

from jack_stream.errors import ConfigError

__all__ = [
    "IPC_PATH_MAX",
    "bind",
    "check_endpoint",
    "check_public",
    "is_local",
    "keep_in_cache",
    "prepare_ipc",
]

IPC_PATH_MAX = 107
"""The longest path of a Unix socket, in bytes (struct sockaddr_un on Linux)."""
_LOCAL_BUFFER_BYTES = 256 * 1024
_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:]+\]|[^:/]+):(\d{1,5}|\*)\Z")


def check_endpoint(endpoint: str) -> str:
    """Return the endpoint if only this machine can reach it.

    Raises:
        ConfigError: if it is no ``ipc://`` or loopback ``tcp://`` address.
    """
    if not is_local(endpoint):
        raise ConfigError(
            f"{endpoint!r} can be reached from other machines, and nothing would be encrypted",
            hint="Use ipc:// or tcp://127.0.0.1:PORT. Other machines come in through the [gate],"
            " with keys (docs/security.md), or through a tunnel such as ssh -L.",
        )
    return endpoint


def is_local(endpoint: str) -> bool:
    """Whether an address is one that only this machine can reach.

    Raises:
        ConfigError: it is no address.
    """
    if endpoint.startswith("ipc://"):
        path = endpoint.removeprefix("ipc://")
        if not path.startswith("/") or len(path.encode()) > IPC_PATH_MAX:
            raise ConfigError(
                f"{endpoint!r}: an ipc path must be absolute and at most {IPC_PATH_MAX} bytes long",
                hint="Set runtime.directory to a short absolute path, such as /run/jack-stream.",
            )
        return True
    host = _host(endpoint)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_public(endpoint: str) -> str:
    """Return the endpoint if it is a ``tcp://host:port`` address, of whatever machine.

    Raises:
        ConfigError: it is not.
    """
    _host(endpoint)
    return endpoint


def _host(endpoint: str) -> str:
    match = _TCP.match(endpoint)
    if match is None or (match[2] != "*" and int(match[2]) > 65535):
        raise ConfigError(f"{endpoint!r} is not an address like ipc:///path or tcp://host:port")
    return match[1].strip("[]")


def prepare_ipc(endpoint: str) -> None:
    """Make the folder of an ``ipc://`` endpoint, for its owner alone, unless it exists.

    Raises:
        ConfigError: it can't be made.
    """
    if endpoint.startswith("ipc://"):
        folder = Path(endpoint.removeprefix("ipc://")).parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{folder}: the folder of the sockets can't be made: {error.strerror}",
                hint="Set runtime.directory to a folder that you may write to.",
            ) from error


def keep_in_cache(socket: zmq.Socket[bytes]) -> None:
    """Bound what the kernel holds of a connection within this machine, before it is made.

    Left alone, Linux lets it grow to megabytes, and pictures go by way of the memory
    (benchmarks/transport.py).
    """
    socket.setsockopt(zmq.SNDBUF, _LOCAL_BUFFER_BYTES)
    socket.setsockopt(zmq.RCVBUF, _LOCAL_BUFFER_BYTES)


def bind(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind a socket, making the folder of its address if need be.

    Returns:
        the address that it got, with the port's number where ``*`` stood.

    Raises:
        ConfigError: the address is not one of this machine's own, taken, or not allowed.
    """
    prepare_ipc(check_endpoint(endpoint))
    keep_in_cache(socket)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise ConfigError(
            f"{endpoint}: can't be bound: {error.strerror}",
            hint="Does another jack-stream run here? End it, or set other addresses:"
            " events.endpoint, events.health_endpoint, or runtime.directory.",
        ) from error
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)
