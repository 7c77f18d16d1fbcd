"""The documented commands that run on or speak to what runs, as processes, beside one system.

`tests/test_doc_commands.py` runs those that end by themselves; `test_live_page` and
`test_same_events` run view, record, replay and analyze. A scene's sound stands for the webcam.
"""

from __future__ import annotations

import json
import shlex
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jack_stream.config import dumps, parse
from jack_stream.testing import capture_events
from tests.documents import commands
from tests.end_to_end.commands import START_S, Command, socket_folder, started

pytestmark = [pytest.mark.end_to_end, pytest.mark.jittor, pytest.mark.timeout(600)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - of this test
        return str(answer.read().decode())


class _House:
    """A folder with what the documented commands name, and these commands made fit for it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ports = folder, (_free_port(), _free_port())
        self.events, self.health = f"ipc://{folder}/events", f"ipc://{folder}/health"
        table = {
            "runtime": {"directory": str(folder / "run")},
            "events": {"endpoint": self.events, "health_endpoint": self.health},
            "metrics": {"address": f"127.0.0.1:{self.ports[0]}"},
            "view": {"address": f"127.0.0.1:{self.ports[1]}"},
            "streams": [
                {
                    "name": "hall",
                    "scene": {"seconds": 600},
                    "analyzers": [{"method": "vaanet-audio", "bundle": "default"}],
                }
            ],
        }
        self.config = folder / "scene.toml"
        self.config.write_text(dumps(parse(table, "a test")), encoding="utf-8")

    def start(self, stack: ExitStack, shown: str, **options: str) -> Command:
        """Start a command that a page shows, with further options."""
        words = shlex.split(shown)
        assert any(list(one.words) == words for one in commands()), f"no page shows: {shown}"
        words = [str(self.config) if word == "webcam" else word for word in words[1:]]
        for option, value in options.items():
            words += [f"--{option}", value]
        return stack.enter_context(started(self.folder, *words))


@pytest.fixture
def house() -> Iterator[_House]:
    with socket_folder() as folder:
        yield _House(folder)


def test_a_system_and_what_is_called_beside_it(house: _House) -> None:
    events, health = house.events, house.health
    with capture_events(events) as seen, ExitStack() as stack:
        run = house.start(stack, "jack-stream run --config webcam --view")
        seen.wait_until(lambda came: len(came) >= 1, START_S)
        counted = "jack-stream watch --json --count 1"
        watch = house.start(stack, counted, events=events, health=health)
        listed = house.start(stack, "jack-stream events")
        reload = house.start(stack, "jack-stream reload --config webcam")
        for command in (watch, listed, reload):
            command.succeed()
        assert json.loads(watch.out)["stream"] == "hall"
        assert "hall" in listed.out
        metrics, page = (f"http://localhost:{port}" for port in house.ports)
        assert json.loads(_read(f"{metrics}/healthz"))["status"]
        assert "jack_stream_up 1" in _read(f"{metrics}/metrics")
        assert "<html" in _read(page)
        assert run.process.poll() is None, run.err
