"""Where sockets are: addresses that only this machine can reach."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import zmq

from jack_stream.errors import ConfigError

__all__ = ["IPC_PATH_MAX", "bind", "check_endpoint", "prepare_ipc"]

IPC_PATH_MAX = 107
"""The longest path of a Unix socket, in bytes (struct sockaddr_un on Linux)."""
_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:]+\]|[^:/]+):(\d{1,5}|\*)\Z")


def check_endpoint(endpoint: str) -> str:
    """Return the endpoint if only this machine can reach it.

    Raises:
        ConfigError: if it is no ``ipc://`` or loopback ``tcp://`` address.
    """
    if endpoint.startswith("ipc://"):
        path = endpoint.removeprefix("ipc://")
        if not path.startswith("/") or len(path.encode()) > IPC_PATH_MAX:
            raise ConfigError(
                f"{endpoint!r}: an ipc path must be absolute and at most {IPC_PATH_MAX} bytes long",
                hint="Set runtime.directory to a short absolute path, such as /run/jack-stream.",
            )
        return endpoint
    match = _TCP.match(endpoint)
    if match is None:
        raise ConfigError(f"{endpoint!r} is not an address like ipc:///path or tcp://host:port")
    host = match[1].strip("[]")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise ConfigError(
            f"{endpoint!r} can be reached from other machines, and nothing would be encrypted",
            hint="Use ipc://, tcp://127.0.0.1:PORT, or a tunnel such as ssh -L to get there.",
        )
    return endpoint


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


def bind(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind a socket, making the folder of its address if need be.

    Returns:
        the address that it got, with the port's number where ``*`` stood.

    Raises:
        ConfigError: the address is not one of this machine's own, taken, or not allowed.
    """
    prepare_ipc(check_endpoint(endpoint))
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise ConfigError(
            f"{endpoint}: can't be bound: {error.strerror}",
            hint="Does another jack-stream run here? End it, or set other addresses:"
            " events.endpoint, events.health_endpoint, or runtime.directory.",
        ) from error
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)
