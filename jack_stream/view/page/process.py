"""The process that serves the live page; nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import uvicorn

from jack_stream.config import Config
from jack_stream.errors import ConfigError
from jack_stream.view.page.hub import Hub
from jack_stream.view.page.server import make_app
from jack_stream.wire.health import HealthReporter

__all__ = ["run"]

_NICE = 5  # where cores are short, whoever captures and infers goes first
_TURN_S = 0.2
_CLOSE_WITHIN_S = 2


def run(config: Config, *, stop: threading.Event, health: HealthReporter) -> None:
    """Serve the page until stopped.

    Args:
        config: the system to look at, which may be running or not; ``config.view`` says where.
        stop: ends it.
        health: where to report.

    Raises:
        ConfigError: the address can't be bound.
    """
    with contextlib.suppress(PermissionError):  # the systemd unit's sandbox keeps priorities alike
        os.nice(_NICE)
    with _listening(config) as listener:
        asyncio.run(_serve(config, listener, stop, health))
    health.report("stopped")


async def _serve(
    config: Config, listener: socket.socket, stop: threading.Event, health: HealthReporter
) -> None:
    hub, where = Hub(config), f"at {config.view.url}"
    settings = uvicorn.Config(
        make_app(config, hub),
        lifespan="off",
        log_level="warning",
        ws_max_size=4096,
        server_header=False,
        timeout_graceful_shutdown=_CLOSE_WITHIN_S,
    )
    server = uvicorn.Server(settings)
    serving = asyncio.create_task(server.serve([listener]))
    working = asyncio.create_task(hub.run())
    while not (stop.is_set() or serving.done() or working.done()):
        health.report("running", hub.counters, {"viewers": float(hub.viewers)}, where)
        await asyncio.sleep(_TURN_S)
    server.should_exit = True
    await serving
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working  # whatever ended it too early ends the process, too


@contextlib.contextmanager
def _listening(config: Config) -> Iterator[socket.socket]:
    host, port = config.view.place
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ConfigError(
            f"view.address {config.view.address} can't be bound: {error.strerror}",
            hint="Does another jack-stream run here? End it, or set another address.",
        ) from error
    with listener:
        yield listener
