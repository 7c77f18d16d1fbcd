"""Where the journal dies, or its disk or its file fails: streaming goes on all the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.clock import Clock
from jack_stream.errors import ConfigError, JournalError
from jack_stream.events.feed import EventFeed, FeedInlet
from jack_stream.events.journal import Journal
from jack_stream.events.journal_reader import JournalReader
from jack_stream.events.process import Keeper
from tests.events.houses import House, made, seqs, synced
from tests.faults.journal_kills import run as run_kills

ROOT = Path(__file__).resolve().parents[2]


def test_events_stream_on_while_the_disk_is_full_and_are_kept_again_after(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, full = Journal.keep, [False]

    def refuse(self: Journal, *args: Any) -> list[list[bytes]]:
        if full[0]:
            raise JournalError(f"{self.path}: database or disk is full")
        return keep(self, *args)

    monkeypatch.setattr(Journal, "keep", refuse)
    monkeypatch.setattr("jack_stream.events.process._TRY_AGAIN_S", 0.1)
    with house.running(), house.feed() as feed, synced(house) as client:
        house.send(feed, 2)
        full[0] = True
        house.send(feed, 3)
        found = [client.next(10) for _ in range(5)]
        assert [(e.seq, e.position is None) for e in found if e] == [
            (0, False), (1, False), (2, True), (3, True), (4, True),
        ]  # fmt: skip
        full[0] = False
        while house.health().state == "degraded":
            house.send(feed, 1)
            taken = client.next(10)
        assert taken is not None
        assert taken.position is not None
        house.send(feed, 2)
        found = [client.next(10) for _ in range(2)]
        assert all(e and e.position for e in found)
        assert client.missed == 0
        assert house.keeper is not None
        assert house.keeper.counters()["events_not_journalled"] >= 3


def test_a_full_disk_is_a_health_state_that_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Journal, *_: Any) -> list[list[bytes]]:
        raise JournalError(f"{self.path}: database or disk is full")

    monkeypatch.setattr(Journal, "keep", refuse)
    with house.running(), house.feed() as feed:
        house.send(feed, 1)
        house.until(lambda: house.health().state == "degraded")
        assert "disk is full; events are published and not kept" in house.health().detail


def test_where_nothing_can_be_written_events_stream_all_the_same(folder: Path) -> None:
    """A file in place of the folder stands for a disk that is read-only, which root can write."""
    (folder / "state").write_text("no folder")
    house = House(folder)
    with house.running(), house.feed() as feed, house.subscribe() as client:
        while (taken := client.next(0.1)) is None:
            house.send(feed, 1)
        assert taken.position is None
        assert client.position is None
        assert house.health().state == "degraded"


def test_a_damaged_file_is_set_aside_at_the_start(house: House) -> None:
    path = house.config.journal_path
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"this is no database " * 1000)
    with house.running(), house.feed() as feed:
        house.send(feed, 2)
        assert house.health().state == "degraded"
        assert "a damaged file was set aside as" in house.health().detail
    aside = next(path.parent.glob("*.corrupt-*"))
    assert aside.read_bytes().startswith(b"this is no database")
    with JournalReader(path) as reader:
        assert reader.head == 2


def test_a_client_goes_on_with_a_new_journal(house: House) -> None:
    with house.feed() as feed, house.subscribe() as client:
        with house.running():
            house.until(lambda: client.next(0.05) is None and client.position is not None)
            house.send(feed, 3)
            assert seqs(client, 3) == [0, 1, 2]
        shutil.rmtree(house.config.journal_path.parent)
        with house.running():
            house.send(feed, 3)
            assert seqs(client, 3) == [3, 4, 5]
            assert (client.replaced, client.missed) == (1, 0)


def test_a_removed_file_is_begun_anew(house: House) -> None:
    with house.running(), house.feed() as feed:
        house.send(feed, 1)
        for one in house.config.journal_path.parent.iterdir():
            if not one.name.endswith(".lock"):
                one.unlink()
        house.until(house.config.journal_path.exists)
        house.send(feed, 1)
    with JournalReader(house.config.journal_path) as reader:
        assert reader.head == 1


def test_another_journal_of_the_same_file_is_refused(house: House) -> None:
    with Journal(house.config.journal_path), pytest.raises(ConfigError, match="another jack-str"):
        Keeper(house.config, Clock())


@settings(max_examples=40, deadline=None)
@given(
    capacity=st.integers(3, 30),
    script=st.lists(st.sampled_from(["send", "send", "take", "confirm", "die"]), max_size=60),
)
def test_the_feed_loses_and_repeats_nothing_whenever_the_journal_dies(
    capacity: int, script: list[str]
) -> None:
    """The inlet dies with what it has taken and not kept; what it has kept is known to the next."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    endpoint, kept, sent = "inproc://feed", [], 0
    fed: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="jack-", dir="/tmp") as folder:
        endpoint = f"ipc://{folder}/feed"
        inlet = FeedInlet(endpoint, lambda session: fed.get(session, -1), context=context)
        feed = EventFeed(endpoint, capacity=1000, context=context)
        for step in [*script, *["take", "confirm"] * 3]:
            if step == "send" and sent < capacity:
                feed.publish(made(sent, session=feed.session))
                sent += 1
            elif step == "take":
                inlet.socket.poll(20)
                kept += [e.seq for e in inlet.take()]
                fed.update(inlet.taken)
            elif step == "confirm":
                inlet.confirm()
                feed.tend()
            elif step == "die":
                inlet.socket.close(linger=0)
                inlet = FeedInlet(endpoint, lambda session: fed.get(session, -1), context=context)
        until_s = time.monotonic() + 20
        while feed.waiting:
            assert time.monotonic() < until_s, (kept, sent)
            inlet.socket.poll(20)
            kept += [e.seq for e in inlet.take()]
            fed.update(inlet.taken)
            inlet.confirm()
            feed.tend()
        feed.close()
        inlet.socket.close(linger=0)
        context.term()
    assert kept == list(range(sent))
    assert feed.dropped == 0


def test_a_feed_without_a_journal_keeps_the_newest_and_counts_the_rest(folder: Path) -> None:
    feed = EventFeed(f"ipc://{folder}/journal", capacity=10)
    began_s = time.monotonic()
    for seq in range(25):
        feed.publish(made(seq, session=feed.session))
    assert time.monotonic() - began_s < 2, "inference does not wait"
    assert (feed.waiting, feed.dropped) == (10, 15)
    house = House(folder)
    with house.running():
        house.send(feed, 0)
    with JournalReader(house.config.journal_path) as reader:
        assert [json.loads(one)["seq"] for one in reader.page(0).events] == list(range(15, 25))
    feed.close()


@pytest.mark.end_to_end
def test_sigkills_lose_nothing(folder: Path) -> None:
    report = run_kills(folder, kills=15, forked=True)
    assert (report.not_kept, report.lost, report.twice, report.unsound) == (0, 0, 0, [])
    assert report.heard > 0
    assert report.handed == report.sent


def test_a_really_full_disk(folder: Path) -> None:
    """A file system of 600 kB, in a name space of its own where the kernel allows that."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f"mount -t tmpfs -o size=600k tmpfs {folder}"
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*unshare, "sh", "-c", mount], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("needs user name spaces in which one may mount")
    script = f"{mount} && exec {sys.executable} -m tests.events.full_disk {folder}"
    done = subprocess.run(
        [*unshare, "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["kept_before"] > 0
    assert said["not_kept"] == 20, "streamed on"
    assert "full" in said["detail"]
    assert said["kept_after"] == 20
    assert said["missed"] == 0
    assert said["integrity"] == "ok"


def test_events_go_on_where_the_journal_never_answers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a tunnel for one port: what is missed is counted, and the rest comes."""
    monkeypatch.setattr("jack_stream.events.recovery._ANSWER_WITHIN_S", 0.05)
    monkeypatch.setattr("jack_stream.events.subscriber._REST_S", 1.5)
    monkeypatch.setattr("jack_stream.events.subscriber._GIVE_UP_AFTER_S", 0.2)
    nowhere = f"ipc://{house.config.directory}/nobody"
    with house.running(), house.feed() as feed:
        with synced(house) as one:
            house.send(feed, 1)
            assert seqs(one, 1) == [0]
            position = one.position
        house.send(feed, 2)
        with house.subscribe(position=position, replay=nowhere) as two:
            taken = None
            while taken is None:
                house.send(feed, 1)
                taken = two.next(0.2)
            house.send(feed, 1)
            after = two.next(10)
            assert after is not None
            assert after.seq == taken.seq + 1
            assert two.gone == taken.seq - 1
