"""The journal's process and the client: no gap, no duplicate, and streaming goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from jack_stream import trace
from jack_stream.clock import Clock
from jack_stream.errors import UsageError
from jack_stream.events.feed import EventFeed
from jack_stream.events.journal_reader import JournalReader
from jack_stream.events.schema import Alert, AnyEvent
from jack_stream.service.traces import joined
from jack_stream.trace import Part
from tests.events.houses import House, is_taken, made, seqs, synced
from tests.events.making import alert
from tests.service.trace_format import check, of_name

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_heard_is_in_the_journal_byte_for_byte(house: House) -> None:
    plain: zmq.Socket[bytes]
    with house.running(), house.feed() as feed, zmq.Context.instance().socket(zmq.SUB) as plain:
        plain.subscribe("")
        plain.connect(house.config.events.endpoint)
        assert plain.poll(10_000)
        said = json.loads(plain.recv_multipart()[1])
        assert said["type"] == "journal"
        assert said["head"] == 0
        house.send(feed, 5)
        heard: list[bytes] = []
        while len(heard) < 5:
            assert plain.poll(10_000)
            topic, payload = plain.recv_multipart()
            if topic != b"journal":
                heard.append(payload)
    with JournalReader(house.config.journal_path) as reader:
        assert reader.name == said["journal"]
        assert reader.page(0).events == heard


def test_who_was_away_gets_what_it_missed_and_then_goes_on(house: House) -> None:
    with house.running(), house.feed() as feed:
        with synced(house) as before:
            house.send(feed, 3)
            assert seqs(before, 3) == [0, 1, 2]
            position = before.position
        house.send(feed, 2500)
        with house.subscribe(position=position) as after:
            assert seqs(after, 2000) == list(range(3, 2003))
            house.send(feed, 10)
            assert seqs(after, 510) == list(range(2003, 2513))
            assert after.next(0.3) is None
            assert (after.missed, after.gone, after.replaced) == (0, 0, 0)


def test_a_position_counts_what_was_handed_out_and_no_more(house: House) -> None:
    with house.running(), house.feed() as feed:
        with synced(house) as one:
            start = one.position
        house.send(feed, 20)
        with house.subscribe(position=start) as one:
            assert seqs(one, 7) == list(range(7))
            position = one.position
        with house.subscribe(position=position) as two:
            assert seqs(two, 13) == list(range(7, 20))


def test_a_trace_tells_when_events_were_kept_and_then_published(
    house: House, tmp_path: Path
) -> None:
    (parts := tmp_path / "parts").mkdir()
    with trace.recording(parts, "journal", Clock()), house.running(), house.feed() as feed:
        house.send(feed, 3)
    [part] = [msgspec.json.decode(one.read_bytes(), type=Part) for one in parts.iterdir()]
    whole = joined([part], part.offset_ns)
    check(whole)
    kept, announced = of_name(whole, "keep events"), of_name(whole, "announce events")
    assert sum(one["args"]["events"] for one in kept) == 3
    for one, after in zip(kept, announced, strict=True):
        assert one["ts"] + one["dur"] <= after["ts"]


@pytest.mark.parametrize(
    ("stream", "method", "wanted"),
    [("door", None, 40), ("door", "bpm-gcn", 20), (None, "vaanet", 20), ("hall", None, 20)],
)
def test_one_streams_subscriber_misses_nothing_of_it(
    house: House, stream: str | None, method: str | None, wanted: int
) -> None:
    with house.running(), house.feed() as feed:
        with synced(house, stream=stream, method=method) as live:
            for _ in range(20):
                house.send(feed)
                house.send(feed, method="vaanet")
                house.send(feed, stream="hall")
            found = [live.next(20) for _ in range(wanted)]
            assert all(e and stream in {None, e.stream} for e in found)
            assert all(e and method in {None, e.model.method} for e in found)
            assert live.next(0.2) is None
            assert live.missed == 0
            name = str(live.position).partition(":")[0]
        with house.subscribe(position=f"{name}:0", stream=stream, method=method) as again:
            assert [again.next(20) for _ in range(wanted)] == found
            assert again.next(0.2) is None


def _with_alerts(house: House, feed: EventFeed) -> None:
    """An event, an alert, an event, an end, an event of another stream, an alert, an event."""
    for said in (
        None, alert(0), None, alert(1, state="ended", reason="below"), "hall",
        alert(0, rule="angry"), None,
    ):  # fmt: skip
        if isinstance(said, Alert):
            feed.publish(said)
        else:
            house.send(feed, stream=said or "door")
    house.until(lambda: is_taken(feed))


def _kinds(found: list[AnyEvent | None]) -> str:
    return "".join("-" if e is None else "a" if isinstance(e, Alert) else "e" for e in found)


@pytest.mark.parametrize(("stream", "kinds"), [(None, "eaeaeae-"), ("door", "eaeaae-")])
def test_alerts_come_among_the_events_in_their_order_and_without_gap(
    house: House, stream: str | None, kinds: str
) -> None:
    with house.running(), house.feed() as feed:
        with synced(house, stream=stream) as live:
            _with_alerts(house, feed)
            heard = [live.take(20) for _ in kinds[:-1]] + [live.take(0.2)]
            assert _kinds(heard) == kinds
            assert (live.missed, live.malformed, live.gone) == (0, 0, 0)
            name = str(live.position).partition(":")[0]
        with house.subscribe(position=f"{name}:0", stream=stream) as later:
            assert [later.take(20) for _ in kinds[:-1]] == heard[:-1]
        with house.subscribe(position=f"{name}:0", stream=stream) as only_events:
            assert seqs(only_events, kinds.count("e"))
            assert only_events.next(0.2) is None
            assert only_events.received == kinds.count("e")
            assert str(only_events.position) == f"{name}:7"
        with house.subscribe(position=f"{name}:0", stream=stream, timeout_s=0.3) as only_alerts:
            assert [one.rule for one in only_alerts.alerts()] == ["unhappy", "unhappy", "angry"]


def test_who_does_not_know_alerts_is_sent_none_and_misses_nothing(house: House) -> None:
    """As a reader of the first release: it asks without ``alerts`` and knows emotions only."""
    asking: zmq.Socket[bytes]
    with house.running(), house.feed() as feed, zmq.Context.instance().socket(zmq.REQ) as asking:
        _with_alerts(house, feed)
        asking.connect(house.config.replay_endpoint)
        for request in ("events", "last"):
            asking.send_json({"request": request})
            assert asking.poll(10_000)
            head, *payloads = asking.recv_multipart()
            assert json.loads(head)["up_to"] == 7
            assert {json.loads(one)["type"] for one in payloads} == {"emotion"}
            assert len(payloads) == {"events": 4, "last": 2}[request]


def test_a_late_joiner_hears_of_the_alerts_that_have_not_ended(house: House) -> None:
    with house.running(), house.feed() as feed:
        _with_alerts(house, feed)
        feed.publish(alert(1, rule="angry", person=2))
        house.until(lambda: is_taken(feed))
        with house.subscribe(timeout_s=0.5) as late:
            found = list(late.alerts())
            assert [(e.rule, e.person, e.retained) for e in found] == [
                ("angry", 1, True), ("angry", 2, True),
            ]  # fmt: skip
            feed.publish(alert(2, rule="angry", state="ended", reason="below"))
            ended = late.take(20)
            assert isinstance(ended, Alert)
            assert (ended.seq, ended.state, ended.retained, late.missed) == (2, "ended", False, 0)
    with house.running(), house.feed() as feed, synced(house, retained=False) as after:
        house.send(feed)
        event = after.next(20)
        assert event is not None
        assert event.position is not None
        assert event.position.previous == 9, "alerts count among a stream's events"


def test_a_late_joiner_hears_at_once_how_things_stand(house: House) -> None:
    with house.running(), house.feed() as feed:
        house.send(feed, 3)
        house.send(feed, 2, stream="hall", label="sad")
        began_s = time.monotonic()
        with house.subscribe() as late:
            found = [late.next(10), late.next(10)]
            assert time.monotonic() - began_s < 5
            assert [(e.stream, e.seq, e.label, e.retained) for e in found if e] == [
                ("door", 2, "happy", True),
                ("hall", 1, "sad", True),
            ]
            house.send(feed)
            live = late.next(10)
            assert live is not None
            assert (live.stream, live.seq, live.retained) == ("door", 3, False)
        with house.subscribe(retained=False) as plain:
            assert plain.next(0.5) is None


def test_the_client_goes_on_over_a_restart_of_the_journal(house: House) -> None:
    with house.feed() as feed, house.subscribe() as client:
        with house.running():
            house.until(lambda: client.next(0.05) is None and client.position is not None)
            house.send(feed, 5)
            assert seqs(client, 5) == [0, 1, 2, 3, 4]
        for seq in range(5, 8):  # nobody is there to take these
            assert feed.next_seq("door", "bpm-gcn") == seq
            feed.publish(made(seq, session=feed.session))
        with house.running():
            house.send(feed, 0)
            assert seqs(client, 3) == [5, 6, 7]
            house.send(feed, 2)
            assert seqs(client, 2) == [8, 9]
        assert (client.missed, client.gone, client.replaced) == (0, 0, 0)


def test_what_the_journal_no_longer_has_is_counted(house: House) -> None:
    with house.running(), house.feed() as feed:
        with synced(house) as one:
            start = one.position
        house.send(feed, 30, published_at_ns=1)
        house.until(lambda: house.keeper and house.keeper.counters()["events_pruned"] == 30)
        house.send(feed, 2)
        with house.subscribe(position=start) as two:
            assert seqs(two, 2) == [30, 31]
            assert two.gone == 30


@pytest.mark.parametrize("text", ["", "x", "cafe", "cafe:", "cafe:-1", ":1", "cafe:1\n", "é:1"])
def test_what_is_no_position_is_refused(house: House, text: str) -> None:
    with pytest.raises(UsageError, match="is no position"):
        house.subscribe(position=text)


def _ask(house: House, *parts: bytes) -> dict[str, Any]:
    socket: zmq.Socket[bytes]
    with zmq.Context.instance().socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(house.config.replay_endpoint)
        socket.send_multipart(parts)
        assert socket.poll(10_000), "no reply"
        head, *_ = socket.recv_multipart()
    said: dict[str, Any] = json.loads(head)
    return said


@pytest.mark.parametrize(
    "request_",
    [
        b"", b"{}", b"[]", b"\xff\xfe", b"[" * 4000, b'{"request":"all"}',
        b'{"request":"events","after":-1}', b'{"request":"events","after":1e30}',
        b'{"request":"events","after":99999999999999999999}', b'{"request":"events","limit":0}',
        b'{"request":"events","limit":100000}', b'{"request":"events","stream":"a\' OR 1=1 --"}',
        b'{"request":"events","v":2}', b'{"request":"events","id":"' + b"x" * 65 + b'"}',
    ],
)  # fmt: skip
def test_hostile_requests_are_answered_with_an_error(folder: Path, request_: bytes) -> None:
    house = House(folder)
    with house.running():
        assert _ask(house, request_)["error"].startswith("malformed request")
        assert _ask(house, b'{"request":"last","id":"a"}')["id"] == "a"


def test_a_request_that_is_too_large_ends_only_its_connection(house: House) -> None:
    socket: zmq.Socket[bytes]
    with house.running(), zmq.Context.instance().socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(house.config.replay_endpoint)
        socket.send(b" " * 5000)
        assert not socket.poll(300)
        assert _ask(house, b'{"request":"last"}')["error"] == ""
