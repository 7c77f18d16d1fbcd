"""The process that answers ``GET /healthz``, ``GET /metrics`` and ``GET /notice``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from jack_stream.config import Config
from jack_stream.errors import ConfigError
from jack_stream.service.metrics import Metrics
from jack_stream.service.notice import language_for, notice_page
from jack_stream.service.status import System
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import Health
from jack_stream.wire.receiver import Receiver

__all__ = ["run", "serving"]

_SLICE_S = 0.2
_PATIENCE_S = 5.0
_AT_ONCE = 16
_log = structlog.get_logger()


def run(config: Config, *, stop: threading.Event, health: HealthReporter) -> None:
    """Answer until stopped.

    Raises:
        ConfigError: the address can't be bound.
    """
    system = System(time.monotonic)
    host, port = config.metrics.place
    with (
        Receiver([config.events.health_endpoint], {"health"}, awaited=False) as reports,
        serving(config, system, host, port) as server,
    ):
        if config.metrics.public:
            _log.warning(
                "metrics.public = true: whoever reaches this address reads the streams' names and"
                " when something happens there; nothing is encrypted",
                address=config.metrics.address,
            )
        while not stop.is_set():
            report = reports.get(_SLICE_S)
            if isinstance(report, Health):
                system.hear(report)
            health.report("running", {"requests": server.requests})
    health.report("stopped")


class _Server(ThreadingHTTPServer):
    """Answers a few at a time; whoever is one too many is cut off."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], config: Config, system: System) -> None:
        self.config = config
        self.system = system
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(Metrics(system))
        self.requests = 0
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: object, client_address: object) -> None:
        """Take a connection, if there is room for it."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Answer one connection in a thread of its own."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_S  # a connection that says nothing is closed
    server_version = "jack-stream"
    sys_version = ""

    def do_GET(self) -> None:
        self.server.requests += 1
        path = urlsplit(self.path).path
        if path == "/healthz":
            status, answer = self.server.system.answer()
            code = HTTPStatus.SERVICE_UNAVAILABLE if status == "down" else HTTPStatus.OK
            body = json.dumps(answer, indent=1).encode() + b"\n"
            self._answer(code, "application/json", body)
        elif path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))
        elif path == "/notice":
            asked = parse_qs(urlsplit(self.path).query).get("lang", [""])[0]
            language = language_for(asked, self.headers.get("Accept-Language", ""))
            body = notice_page(self.server.config, language).encode()
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", body)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/healthz, /metrics or /notice\n")

    def _answer(self, code: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: who asks, asks often."""


@contextmanager
def serving(config: Config, system: System, host: str, port: int) -> Iterator[_Server]:
    """Answer for a system in threads of their own until the block is left.

    Raises:
        ConfigError: the address can't be bound.
    """
    try:
        server = _Server((host, port), config, system)
    except OSError as error:
        raise ConfigError(
            f"metrics.address {host}:{port} can't be bound: {error.strerror}",
            hint='Set another one, or "off".',
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
