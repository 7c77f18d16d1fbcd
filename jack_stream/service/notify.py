"""Says to systemd how the service fares: the datagrams of sd_notify(3), and no library for them."""

from __future__ import annotations

import os
import socket
import time

import structlog

from jack_stream.errors import ConfigError

__all__ = ["Notifier"]

_SEND_TIMEOUT_S = 1.0
_log = structlog.get_logger()


class Notifier:
    """Sends states to the service manager; does nothing where there is none.

    Args:
        address: what ``NOTIFY_SOCKET`` says: an absolute path, or ``@`` and an abstract name;
            None where no manager listens.
        watchdog_interval_s: see the attribute.

    Attributes:
        watchdog_interval_s: how often to call :meth:`watchdog`: half of the time after which
            systemd ends a silent service (sd_watchdog_enabled(3)). None where it does not wait.

    Raises:
        ConfigError: the address is of neither form.
    """

    def __init__(self, address: str | None, watchdog_interval_s: float | None = None) -> None:
        if address and address[0] not in "/@":
            raise ConfigError(
                f"NOTIFY_SOCKET is {address!r}, neither an absolute path nor @ and a name",
                hint="Unset it, unless a service manager set it.",
            )
        self.watchdog_interval_s = watchdog_interval_s
        self._address = f"\0{address[1:]}" if address and address[0] == "@" else address
        self._reachable = True

    @classmethod
    def from_environment(cls) -> Notifier:
        """The notifier of this very process, as systemd's variables describe it.

        Raises:
            ConfigError: a variable has no meaning.
        """
        timeout, process = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
        interval_s = None
        if timeout and process in (None, str(os.getpid())):
            if not timeout.isdecimal() or int(timeout) == 0:
                raise ConfigError(
                    f"WATCHDOG_USEC is {timeout!r}, not a number of microseconds",
                    hint="Unset it, unless a service manager set it.",
                )
            interval_s = int(timeout) / 2e6
        return cls(os.environ.get("NOTIFY_SOCKET") or None, interval_s)

    def ready(self) -> None:
        """The service has started, or has finished reloading."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for people, shown by ``systemctl status``."""
        self._send(f"STATUS={' '.join(text.split())}")

    def watchdog(self) -> None:
        """The service is well. Never call it from a timer of its own: a result must prove it."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """The service reads its configuration again; :meth:`ready` says that it has."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service is on its way out."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(_SEND_TIMEOUT_S)
                channel.sendto(state.encode(), self._address)
        except OSError as error:  # a manager that is gone is no reason to stop working
            if self._reachable:
                _log.warning("the service manager can't be told", state=state, error=str(error))
            self._reachable = False
        else:
            self._reachable = True
