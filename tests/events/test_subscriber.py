"""The client: it counts what it missed, waits for publishers, and is not needed to subscribe."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

import jack_stream
from jack_stream.errors import ConfigError
from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import Event, encode
from jack_stream.events.subscriber import Subscription
from tests.events.making import event


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/events"


class Sender:
    """A socket that knows when a subscription has reached it, so that nothing sent is lost."""

    def __init__(self, endpoint: str) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self.socket.bind(endpoint)

    def wait_for_subscriber(self) -> None:
        said = b""
        while not said.startswith(b"\x01event"):
            assert self.socket.poll(10_000), "nobody subscribes"
            said = self.socket.recv()

    def send(self, *events: Event) -> None:
        for one in events:
            self.socket.send_multipart(encode(one))


@pytest.fixture
def sender(endpoint: str) -> Iterator[Sender]:
    sender = Sender(endpoint)
    yield sender
    sender.socket.close(linger=0)


def test_events_come_in_order(endpoint: str, sender: Sender) -> None:
    with Subscription(endpoint) as events:
        sender.wait_for_subscriber()
        sender.send(event(0), event(1), event(2))
        assert [events.next(10) for _ in range(3)] == [event(0), event(1), event(2)]
        assert (events.received, events.missed, events.malformed) == (3, 0, 0)


def test_gaps_are_counted_by_stream_and_method(endpoint: str, sender: Sender) -> None:
    with Subscription(endpoint) as events:
        sender.wait_for_subscriber()
        sender.send(event(5), event(0, stream="hall"), event(9), event(0, method="vaanet"))
        sender.send(event(2, stream="hall"), event(10))
        for _ in range(6):
            assert events.next(10) is not None
        assert events.missed == 3 + 1


def test_a_new_run_starts_its_numbers_anew(endpoint: str, sender: Sender) -> None:
    with Subscription(endpoint) as events:
        sender.wait_for_subscriber()
        sender.send(event(0), event(40, session="cafe0002"), event(42, session="cafe0002"))
        for _ in range(3):
            assert events.next(10) is not None
        assert events.missed == 1


def test_what_is_no_event_is_counted_and_passed_over(endpoint: str, sender: Sender) -> None:
    with Subscription(endpoint) as events:
        sender.wait_for_subscriber()
        sender.socket.send_multipart([b"event.door.bpm-gcn", b"{}"])
        sender.socket.send_multipart([b"event.alone"])
        sender.send(event(3))
        assert events.next(10) == event(3)
        assert (events.received, events.malformed, events.missed) == (1, 2, 0)


def test_a_stream_and_a_method_can_be_chosen(endpoint: str, sender: Sender) -> None:
    every = [
        event(stream=stream, method=method)
        for stream in ("door", "doors", "hall")
        for method in ("bpm-gcn", "bpm-gcn-2", "vaanet")
    ]
    for stream, method, count in [
        ("door", None, 3),
        (None, "bpm-gcn", 3),
        ("hall", "vaanet", 1),
        ("door", "bpm-gcn", 1),
    ]:
        with Subscription(endpoint, stream=stream, method=method) as events:
            sender.wait_for_subscriber()
            sender.send(*every, event(1, stream=stream or "hall", method=method or "vaanet"))
            found = [events.next(10) for _ in range(count + 1)]
            assert {e.stream for e in found if e} == (
                {stream} if stream else {"door", "doors", "hall"}
            )
            assert all(e is not None and method in (None, e.model.method) for e in found)
            assert found[-1] is not None
            assert found[-1].seq == 1


def test_silence_ends_the_wait_and_the_iteration(endpoint: str) -> None:
    with Subscription(endpoint, timeout_s=0.2) as events:
        began = time.monotonic()
        assert events.next(0.1) is None
        assert list(events) == []
        assert 0.3 <= time.monotonic() - began < 5


def test_a_publisher_may_die_and_come_back(endpoint: str) -> None:
    with Subscription(endpoint) as events:
        sessions = []
        for _ in range(2):
            with EventPublisher(endpoint) as publisher:
                sessions.append(publisher.session)
                found, tried = None, 0
                while found is None and tried < 100:
                    made = event(publisher.next_seq("door", "bpm-gcn"), session=publisher.session)
                    publisher.publish(made)
                    found = events.next(0.1)
                    tried += 1
                assert found is not None
                assert found.session == publisher.session
                while events.next(0.2) is not None:
                    pass
        assert sessions[0] != sessions[1]
        assert events.malformed == 0
        assert events.missed == 0


def test_the_publisher_numbers_by_stream_and_method(endpoint: str) -> None:
    with EventPublisher(endpoint) as publisher:
        asked = [("a", "m"), ("a", "m"), ("b", "m"), ("a", "n"), ("a", "m")]
        assert [publisher.next_seq(*one) for one in asked] == [0, 1, 0, 0, 2]


def test_ten_lines_of_plain_pyzmq_are_enough(endpoint: str, sender: Sender) -> None:
    plain: zmq.Socket[bytes]
    with zmq.Context.instance().socket(zmq.SUB) as plain:
        plain.connect(endpoint)
        plain.subscribe("event.")
        sender.wait_for_subscriber()
        sender.send(event(4))
        assert plain.poll(10_000)
        topic, payload = plain.recv_multipart()
    said = json.loads(payload)
    assert topic == b"event.door.bpm-gcn"
    assert (said["label"], said["seq"]) == ("happy", 4)
    assert msgspec.convert(said, Event) == event(4)


def test_subscribe_is_what_the_package_offers(endpoint: str, sender: Sender) -> None:
    with jack_stream.subscribe(endpoint, timeout_s=0.3) as events:
        sender.wait_for_subscriber()
        sender.send(event(0), event(1))
        assert [one.seq for one in events] == [0, 1]


def test_an_address_that_is_none_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        Subscription("nowhere")


def test_an_address_that_is_taken_is_a_config_error_that_says_so() -> None:
    with (
        EventPublisher("tcp://127.0.0.1:*") as first,
        pytest.raises(ConfigError, match=r"can't be bound: Address already in use.*\n.*another"),
    ):
        EventPublisher(first.endpoint)
