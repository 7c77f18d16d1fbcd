"""What systemd hears, from a socket that stands in for it."""

import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jack_stream.errors import ConfigError
from jack_stream.service.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    name = f"jack-stream-{uuid.uuid4().hex}"
    abstract = request.param == "abstract"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{name}" if abstract else str(tmp_path / "notify"))
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else str(tmp_path / "notify"))
        yield channel


@pytest.fixture(autouse=True)
def _no_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)


def test_each_state_is_one_datagram(manager: socket.socket) -> None:
    notifier = Notifier.from_environment()
    notifier.ready()
    notifier.status("2 streams,\n25 fps")
    notifier.watchdog()
    notifier.stopping()
    assert [manager.recv(4096) for _ in range(4)] == [
        b"READY=1",
        b"STATUS=2 streams, 25 fps",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_reloading_says_when(manager: socket.socket) -> None:
    Notifier.from_environment().reloading()
    state, when = manager.recv(4096).decode().split("\n")
    assert state == "RELOADING=1"
    name, microseconds = when.split("=")
    assert name == "MONOTONIC_USEC"
    assert int(microseconds) > 0


def test_without_a_manager_nothing_happens() -> None:
    notifier = Notifier.from_environment()
    notifier.ready()
    assert notifier.watchdog_interval_s is None


@pytest.mark.parametrize("process", [None, str(os.getpid())], ids=["nobody", "this"])
def test_the_watchdog_is_due_twice_per_timeout(
    process: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    if process is not None:
        monkeypatch.setenv("WATCHDOG_PID", process)
    assert Notifier.from_environment().watchdog_interval_s == 15


def test_another_process_s_watchdog_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert Notifier.from_environment().watchdog_interval_s is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("WATCHDOG_USEC", "soon"), ("WATCHDOG_USEC", "0"), ("NOTIFY_SOCKET", "vsock:2:1234")],
)
def test_a_variable_without_meaning_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        Notifier.from_environment()


def test_a_manager_that_is_gone_is_logged_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    notifier = Notifier(str(path))
    with capture_logs() as logs:
        notifier.ready()
        notifier.watchdog()
    assert [entry["state"] for entry in logs] == ["READY=1"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(path))
        channel.settimeout(5)
        notifier.watchdog()
        assert channel.recv(100) == b"WATCHDOG=1"
