"""Each example runs against a real publisher and does what it says."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import Event
from tests.events.houses import House
from tests.events.making import event
from tests.subscribers import started, until_printed

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DAY_S = 1.7e9


def _events(**fields: Any) -> Iterator[Event]:
    return (event(n, start_s=DAY_S + n, **fields) for n in count())


def _first_line(command: list[str | Path], tmp_path: Path, wanted: str, **fields: Any) -> str:
    address = f"ipc://{tmp_path}/events"
    with EventPublisher(address) as publisher, started([*command, address]) as printed:
        return until_printed(publisher, _events(**fields), printed, lambda line: wanted in line)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("name", ["subscriber.py", "subscriber_asyncio.py", "subscriber_client.py"])
def test_subscribers_print_what_is_published(name: str, trained: bool, tmp_path: Path) -> None:
    line = _first_line([sys.executable, EXAMPLES / name], tmp_path, "happy", trained=trained)
    assert "door" in line
    assert ("untrained" in line) == (not trained), "whoever shows a label says that it is noise"


@pytest.mark.parametrize("trained", [True, False])
def test_the_subscriber_in_javascript(trained: bool, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    if not (EXAMPLES / "node_modules" / "zeromq").is_dir():
        pytest.skip("zeromq is not installed: run npm install in examples")
    line = _first_line([node, EXAMPLES / "subscriber.mjs"], tmp_path, "happy", trained=trained)
    assert line.startswith("event.door.bpm-gcn 1 happy 0.75")
    assert ("untrained" in line) == (not trained)


def test_the_asyncio_subscriber_does_something_else_meanwhile(tmp_path: Path) -> None:
    with started(
        [sys.executable, EXAMPLES / "subscriber_asyncio.py", f"ipc://{tmp_path}/none"]
    ) as printed:
        assert [printed.get(timeout=60) for _ in range(2)] == ["0 s\n", "1 s\n"]


def test_the_client_goes_on_where_it_was(tmp_path: Path) -> None:
    house, place = House(tmp_path), tmp_path / "position.txt"
    program: list[str | Path] = [sys.executable, EXAMPLES / "subscriber_client.py"]
    program += [house.config.events.endpoint, place]
    with house.running(), house.feed() as feed:
        house.send(feed, 2)
        with started(program) as printed:
            assert "last said happy 75%" in printed.get(timeout=60)
            house.send(feed, label="sad")
            assert "sad 75%; 0 missed" in printed.get(timeout=60)
            house.until(lambda: place.read_text().endswith(":3"))
        house.send(feed, label="angry")
        with started(program) as printed:
            assert "angry 75%; 0 missed" in printed.get(timeout=60)


def test_what_the_journal_keeps_is_replayed_and_then_what_is_new(tmp_path: Path) -> None:
    house = House(tmp_path)
    program: list[str | Path] = [sys.executable, EXAMPLES / "replay.py"]
    with house.running(), house.feed() as feed:
        house.send(feed, 250)  # more than a page
        with started([*program, house.config.replay_endpoint]) as printed:
            shown = [printed.get(timeout=60) for _ in range(250)]
            assert shown == [f"{number} happy True\n" for number in range(1, 251)]
            house.send(feed, label="sad")
            assert printed.get(timeout=60) == "251 sad True\n"


def test_the_robot_moves_when_a_publisher_says_so(tmp_path: Path) -> None:
    program: list[str | Path] = [sys.executable, EXAMPLES / "react.py"]
    line = _first_line(program, tmp_path, "robot", label="angry")
    assert line == "the robot steps back from door/1\n"


def _moves(*said: tuple[float, str], **fields: Any) -> list[tuple[float, str]]:
    """What the robot does, and when, about labels at times in seconds."""
    robot = runpy.run_path(str(EXAMPLES / "react.py"))["Robot"]()
    moves = []
    for at_s, label in said:
        who = int(label[-1]) if label[-1].isdigit() else 1
        one = event(start_s=DAY_S + at_s, label=label.rstrip("12"), person=who, **fields)
        if action := robot.hear(one):
            moves.append((at_s, action))
    return moves


def test_the_robot_waits_until_a_wish_lasts() -> None:
    flicker = [(n, ("happy", "angry")[n % 2]) for n in range(20)]
    assert _moves(*flicker) == []
    lasting = [(0, "happy"), (1, "happy"), (2, "joy"), (3, "joy"), (4, "joy")]
    assert _moves(*lasting) == [(3, "turns to door/1")]
    assert _moves(*lasting, (5, "angry"), (6, "fear"), (7, "angry"), (8, "uncertain"),
                  (10, "uncertain")) == [
        (3, "turns to door/1"), (7, "steps back from door/1"), (10, "looks ahead"),
    ]  # fmt: skip


def test_the_robot_does_not_act_on_noise() -> None:
    assert _moves(*((n, "happy") for n in range(20)), trained=False) == []


def test_the_robot_attends_to_one_person_until_they_are_gone() -> None:
    first = [(0, "happy1"), (1, "happy1"), (2, "happy1"), (3, "happy1")]
    second = [(2, "angry2"), (4, "angry2"), (5, "angry2"), (8, "angry2"), (9, "angry2"),
              (10, "angry2"), (11, "angry2")]  # fmt: skip
    assert _moves(*sorted(first + second)) == [
        (3, "turns to door/1"), (8, "looks ahead"), (11, "steps back from door/2"),
    ]  # fmt: skip


def test_examples_are_short_and_listed() -> None:
    files = {path.name: path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".mjs")}
    for name, path in files.items():
        assert len(path.read_text().splitlines()) < 60, name
    listed = re.findall(
        r"^\| \[(\S+)\]\((\S+)\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE
    )
    assert {(name, name) for name in files} == set(listed)
