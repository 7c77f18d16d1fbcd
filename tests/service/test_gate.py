"""The gate over real sockets: who gets in, who doesn't, and what someone on the line can see."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from jack_stream.clock import Clock
from jack_stream.config import Config, parse
from jack_stream.errors import ConfigError, KeysError
from jack_stream.events.publisher import EventPublisher
from jack_stream.events.subscriber import Subscription
from jack_stream.service.gate import Gate
from jack_stream.service.plan import plan
from jack_stream.wire import keys
from jack_stream.wire.access import Access, Link
from jack_stream.wire.messages import Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver
from tests.events.making import event

PATIENCE_S = 20.0


class House:
    """A configuration with a gate that runs, events behind it, and keys for some people."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.keys = folder / "keys"
        keys.create(self.keys, "gate")
        for name, role in (("anna", "subscribe"), ("door", "publish"), ("hall", "publish")):
            keys.create(self.keys, name)
            keys.allow(self.keys, self.keys / f"{name}.key", role)  # type: ignore[arg-type]
        keys.create(self.keys, "eve")
        self.config = _config(folder, self.keys, **changes)
        self.events = EventPublisher(self.config.events.endpoint)
        self.gate = Gate(self.config, Clock())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def access(self, name: str, server: str = "gate") -> Access:
        return Access.of(self.keys / f"{name}.key_secret", self.keys / f"{server}.key")

    def at(self, door: str) -> str:
        return self.gate.endpoints[door]

    def publish_until(self, happened: Callable[[], bool]) -> None:
        """Publish events until something holds."""
        until_s = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < until_s, self.gate.counters()
            self.events.publish(event(label="a-label-to-be-seen", probabilities={}))
            self._stop.wait(0.01)

    def hears(self, subscription: Subscription) -> bool:
        """Whether a subscription gets an event; it must be within a few seconds."""
        heard = []
        self.publish_until(lambda: bool(heard.append(subscription.next(0)) or heard[-1]))
        return heard[-1] is not None

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.gate.close()
        self.events.close()

    def _turn(self) -> None:
        while not self._stop.is_set():
            self.gate.turn(20)


def _config(folder: Path, key_folder: Path, **changes: Any) -> Config:
    gate = {
        "keys": str(key_folder),
        "events": "tcp://127.0.0.1:*",
        "health": "tcp://127.0.0.1:*",
        "captures": "tcp://127.0.0.1:*",
    }
    remote = [{"name": n, "remote": {"key": n, "kinds": ["frame"]}} for n in ("door", "hall")]
    table = {
        "runtime": {"directory": str(folder)},
        "events": {
            "endpoint": f"ipc://{folder}/events",
            "health_endpoint": f"ipc://{folder}/health-out",
        },
        "gate": gate | changes,
        "streams": remote,
    }
    return parse(table, "a test")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def _refused(house: House) -> int:
    return house.gate.counters()["connections_refused"]


def test_a_key_that_may_subscribe_gets_the_events(house: House) -> None:
    with Subscription(house.at("events"), access=house.access("anna")) as subscription:
        assert house.hears(subscription)
    assert house.gate.counters()["connections_subscribe"] == 1


@pytest.mark.parametrize("name", ["eve", "door"])
def test_an_unknown_key_and_one_that_may_only_publish_get_nothing(house: House, name: str) -> None:
    with (
        Subscription(house.at("events"), access=house.access("anna")) as anna,
        Subscription(house.at("events"), access=house.access(name)) as other,
    ):
        house.publish_until(lambda: _refused(house) == 1)
        assert house.hears(anna)
        assert other.next(0.2) is None
    assert other.received == other.malformed == 0


def test_without_keys_or_with_another_gates_key_nothing_is_heard(house: House) -> None:
    with (
        Subscription(house.at("events"), access=house.access("anna")) as anna,
        Subscription(house.at("events"), access=Access(insecure=True)) as plain,
        Subscription(house.at("events"), access=house.access("anna", "eve")) as deceived,
    ):
        assert house.hears(anna)
        assert plain.next(0.5) is None
        assert deceived.next(0.5) is None
    assert house.gate.counters()["connections_subscribe"] == 1


def _send(house: House, name: str, stream: str, done: Callable[[], bool]) -> None:
    with Publisher(
        house.at("captures"), stream, policy=Policy.LIVE, clock=Clock(), access=house.access(name)
    ) as publisher:
        until_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < until_s, house.gate.counters()
            publisher.frame(np.zeros((2, 2, 3), np.uint8), 1)
            threading.Event().wait(0.01)


def test_captures_come_in_with_their_streams_key(house: House) -> None:
    with Receiver([house.config.capture_endpoint("door", "remote")], {"frame"}) as receiver:
        _send(house, "door", "door", lambda: receiver.received > 0)
        message = receiver.get(5)
    assert isinstance(message, Frame)
    assert message.stamp.stream == "door"


def test_a_subscribers_key_publishes_nothing(house: House) -> None:
    with Receiver([house.config.capture_endpoint("door", "remote")], {"frame"}) as receiver:
        _send(house, "anna", "door", lambda: _refused(house) == 1)
        assert receiver.get(0.2) is None
    assert house.gate.counters().get("captures", 0) == 0


@pytest.mark.parametrize(
    ("stream", "counted"), [("door", "dropped_foreign"), ("attic", "dropped_unknown_stream")]
)
def test_a_key_sends_only_its_own_stream(house: House, stream: str, counted: str) -> None:
    _send(house, "hall", stream, lambda: house.gate.counters().get(counted, 0) > 0)
    assert house.gate.counters().get("captures", 0) == 0


def test_malformed_captures_are_dropped_and_the_next_is_taken(house: House) -> None:
    with Publisher(
        house.at("captures"), "door", policy=Policy.LIVE, clock=Clock(), access=house.access("door")
    ) as publisher:

        def send_both() -> bool:
            publisher.send_parts([b"frame.door", b"\xc1 no msgpack"])
            publisher.frame(np.zeros((2, 2, 3), np.uint8), 1)
            threading.Event().wait(0.01)
            return house.gate.counters().get("captures", 0) > 0

        until_s = time.monotonic() + PATIENCE_S
        while not send_both():
            assert time.monotonic() < until_s
    assert house.gate.counters()["dropped_malformed"] > 0


def test_a_revoked_key_is_cut_off_while_it_listens_and_the_others_come_back(house: House) -> None:
    keys.create(house.keys, "bert")
    keys.allow(house.keys, house.keys / "bert.key", "subscribe")
    with (
        Subscription(house.at("events"), access=house.access("anna")) as anna,
        Subscription(house.at("events"), access=house.access("bert")) as bert,
    ):
        assert house.hears(anna)
        assert house.hears(bert)
        keys.revoke(house.keys, "bert")
        house.publish_until(lambda: _refused(house) == 1)
        while bert.next(0.1) is not None:
            pass  # what was sent before
        assert house.hears(anna)
        assert bert.next(0.2) is None


def test_a_key_that_is_allowed_later_comes_in_without_a_restart(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jack_stream.wire.access._AGAIN_S", 0.2)
    with Subscription(house.at("events"), access=house.access("eve")) as subscription:
        house.publish_until(lambda: subscription.next(0) is not None or _refused(house) == 1)
        keys.allow(house.keys, house.keys / "eve.key", "subscribe")
        assert house.hears(subscription)


@contextmanager
def _tapped(endpoint: str) -> Iterator[tuple[str, bytearray]]:
    """A proxy in front of an address, and every byte that went through it."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    heard = bytearray()
    stop = threading.Event()

    def relay() -> None:
        pairs: dict[socket.socket, socket.socket] = {}
        while not stop.is_set():
            for ready in select.select([listener, *pairs], [], [], 0.05)[0]:
                if ready is listener:
                    near, far = listener.accept()[0], socket.create_connection((host, int(port)))
                    pairs |= {near: far, far: near}
                elif data := ready.recv(65536):
                    heard.extend(data)
                    pairs[ready].sendall(data)
                else:
                    for end in (ready, pairs.pop(ready)):
                        pairs.pop(end, None)
                        end.close()
        for end in pairs:
            end.close()

    thread = threading.Thread(target=relay)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        stop.set()
        thread.join()
        listener.close()


def test_who_listens_on_the_line_sees_nothing_of_an_event(house: House) -> None:
    with (
        _tapped(house.at("events")) as (endpoint, heard),
        Subscription(endpoint, access=house.access("anna")) as subscription,
    ):
        assert house.hears(subscription)
    assert len(heard) > 1000
    for word in (b"a-label-to-be-seen", b"event.", b"emotion", b"door", b"bpm-gcn", b"{"):
        assert heard.count(word) <= len(heard) // 64 if len(word) == 1 else word not in heard


def test_the_tap_would_see_what_is_not_encrypted(tmp_path: Path) -> None:
    house = House(tmp_path, insecure=True)
    try:
        with (
            _tapped(house.at("events")) as (endpoint, heard),
            Subscription(endpoint) as subscription,
        ):
            assert house.hears(subscription)
    finally:
        house.close()
    assert b"a-label-to-be-seen" in heard


def test_no_gate_opens_without_its_own_key(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match=r"gate\.key_secret: the key can't be read"):
        Gate(_config(tmp_path, tmp_path / "none", events="tcp://0.0.0.0:*"), Clock())


def test_an_address_that_is_none_of_this_machines_is_named(tmp_path: Path) -> None:
    keys.create(tmp_path, "gate")
    with pytest.raises(ConfigError, match=r"tcp://198\.51\.100\.1:5587: can't be bound"):
        Gate(_config(tmp_path, tmp_path, events="tcp://198.51.100.1:5587"), Clock())


def test_insecure_is_said_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Gate(_config(tmp_path, tmp_path, insecure=True), Clock()) as gate:
        assert gate.insecure
    said = capsys.readouterr()
    assert "whoever reaches these addresses reads all events" in said.out + said.err


def test_a_configuration_with_a_gate_starts_one(tmp_path: Path) -> None:
    assert "gate" in {one.name for one in plan(_config(tmp_path, tmp_path))}


def test_a_remote_stream_needs_a_gate(tmp_path: Path) -> None:
    table = {"streams": [{"name": "door", "remote": {"key": "door"}}]}
    with pytest.raises(ConfigError, match=r"set captures in \[gate\]"):
        parse(table, "a test")


@pytest.mark.parametrize("name", ["anna", "door"])
def test_what_was_missed_is_fetched_through_the_gate_with_a_subscribers_key(
    tmp_path: Path, name: str
) -> None:
    house = House(tmp_path, replay="tcp://127.0.0.1:*")
    requests: list[list[bytes]] = []
    journal = zmq.Context.instance().socket(zmq.ROUTER)
    try:
        journal.bind(house.config.replay_endpoint)
        with closing(zmq.Context.instance().socket(zmq.REQ)) as client:
            client.linger = 0
            link = Link(client, house.at("replay"), house.access(name))
            with suppress(zmq.Again):  # a key that may not ask may be refused by now
                client.send(b'{"request": "last"}', zmq.NOBLOCK)
            until_s = time.monotonic() + PATIENCE_S
            while not journal.poll(20) and _refused(house) == 0:
                assert time.monotonic() < until_s
            if journal.poll(0):
                requests.append(journal.recv_multipart())
                journal.send_multipart([*requests[0][:-1], b"{}", b"an event"])
                assert client.recv_multipart() == [b"{}", b"an event"]
            link.close()
    finally:
        journal.close()
        house.close()
    assert [request[-1] for request in requests] == [b'{"request": "last"}'] * (name == "anna")


def test_the_example_prints_what_comes_through_the_gate(house: House) -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "remote_subscriber.py"
    own, server = house.keys / "anna.key_secret", house.keys / "gate.key"
    with subprocess.Popen(
        [sys.executable, example, house.at("events"), own, server],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        reader = threading.Thread(
            target=lambda out: lines.append(out.readline()), args=(process.stdout,)
        )
        reader.start()
        house.publish_until(lambda: bool(lines))
        process.kill()
        reader.join()
    assert "a-label-to-be-seen" in lines[0]
