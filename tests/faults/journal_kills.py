"""Kills the journal's process again and again while events stream through it.

    python -m tests.faults.journal_kills [--kills 200] [--rate 300] [--seed 1]

A sender (inference's end of the feed) makes events at a rate; the real journal process keeps and
publishes them; a plain SUB socket notes all that it hears, and a client notes what it is handed.
The process is killed (SIGKILL) at random moments and started again. It must hold that

- every event that the plain socket heard is in the journal, byte for byte,
- the client is handed every event that was made, in order, none twice,
- ``PRAGMA integrity_check`` says ok after each kill, before the next start.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import zmq

from jack_stream import log
from jack_stream.config import Config, parse
from jack_stream.events.feed import EventFeed
from jack_stream.events.journal_reader import JournalReader
from jack_stream.events.subscriber import Subscription
from jack_stream.service.plan import WorkerPlan
from jack_stream.service.worker import run as work
from tests.events.making import event

__all__ = ["ForkedJournal", "JournalProcess", "Report", "configuration", "integrity", "kept", "run"]

_END_WITHIN_S = 60.0


@dataclass
class Report:
    """What happened.

    Attributes:
        kills: how often the process was killed.
        sent: events that were made, from the first on that the client was handed.
        heard: events that the plain socket heard.
        handed: events that the client was handed.
        not_kept: events that were heard and are not in the journal, or differ there. Must be 0.
        lost: of these, those that were never handed to the client. Must be 0.
        twice: events that the client was handed twice or out of order. Must be 0.
        unsound: answers of ``integrity_check`` other than ok. Must be empty.
        recovery_ms: from each start of the process to the first event that came after.
    """

    kills: int = 0
    sent: int = 0
    heard: int = 0
    handed: int = 0
    not_kept: int = 0
    lost: int = 0
    twice: int = 0
    unsound: list[str] = field(default_factory=list)
    recovery_ms: list[float] = field(default_factory=list)


def configuration(folder: Path) -> Config:
    """One whose sockets and journal lie in a folder."""
    table = {
        "runtime": {"directory": str(folder)},
        "events": {
            "endpoint": f"ipc://{folder}/events",
            "health_endpoint": f"ipc://{folder}/health-out",
        },
        "journal": {"path": str(folder / "state" / "events.sqlite")},
        "streams": [{"name": "door", "camera": {"source": "0"}}],
    }
    return parse(table, "journal kills")


class ForkedJournal:
    """The same without the imports of a new interpreter: for many kills in little time."""

    def __init__(self, config: Config) -> None:
        self._config_json = config.model_dump_json()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self.start()

    def start(self) -> None:
        """Start it."""
        self.process = self._context.Process(target=_keep, args=(self._config_json,))
        self.process.start()

    def kill(self) -> None:
        """Kill it and wait."""
        self.process.kill()
        self.process.join()
        self.process.close()


def _keep(config_json: str) -> None:
    config = Config.model_validate_json(config_json)
    log.set_up(quiet=True)
    work(WorkerPlan("journal"), config, threading.Event())


class JournalProcess:
    """The journal's process as the supervisor starts it."""

    def __init__(self, config: Config) -> None:
        self._config_json = config.model_dump_json()
        self.start()

    def start(self) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jack_stream", "worker", "journal"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(self._config_json + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kill it and wait."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


def integrity(path: Path) -> str:
    """What SQLite says about a copy of the file as it lies there after a kill; ok if all is well.

    A copy, because to open the file itself would mend it before the next process does.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).exists():
                shutil.copy(path.with_name(name), folder)
        database = sqlite3.connect(Path(folder) / path.name)
        try:
            return str(database.execute("PRAGMA integrity_check").fetchone()[0])
        finally:
            database.close()


def kept(path: Path) -> set[bytes]:
    """The JSON of all events in a journal."""
    found: set[bytes] = set()
    with JournalReader(path) as reader:
        after = 0
        while after < reader.head:
            page = reader.page(after)
            found |= set(page.events)
            after = page.up_to
    return found


class _Listener:
    """Notes all that a plain SUB socket hears, and all that the client is handed."""

    def __init__(self, config: Config) -> None:
        self.heard: list[bytes] = []
        self.handed: list[int] = []
        self.heard_s = 0.0
        self._stop = threading.Event()
        self._plain: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._plain.subscribe(b"event.")
        self._plain.setsockopt(zmq.RCVHWM, 0)
        self._plain.connect(config.events.endpoint)
        self._client = Subscription(config.events.endpoint)
        self._threads = [threading.Thread(target=f) for f in (self._hear, self._take)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._plain.close(linger=0)
        self._client.close()

    def _hear(self) -> None:
        while not self._stop.is_set():
            if self._plain.poll(50):
                self.heard.append(self._plain.recv_multipart()[1])
                self.heard_s = time.monotonic()

    def _take(self) -> None:
        while not self._stop.is_set():
            taken = self._client.next(0.05)
            if taken is not None and not taken.retained:
                self.handed.append(taken.seq)


def _send(feed: EventFeed, rate: float, stop: threading.Event) -> None:
    """Make events at a rate in bursts of up to ten, until stopped; then wait for the receipts."""
    rng = random.Random(0)
    while not stop.is_set():
        burst = rng.randint(1, 10)
        for _ in range(burst):
            seq = feed.next_seq("door", "bpm-gcn")
            feed.publish(event(seq, session=feed.session, published_at_ns=time.time_ns()))
        until_s = time.monotonic() + burst / rate
        while time.monotonic() < until_s:
            feed.tend()
            stop.wait(0.002)


def run(
    folder: Path, *, kills: int, rate: float = 300.0, seed: int = 1, forked: bool = False
) -> Report:
    """Do it; see the module.

    Args:
        folder: for sockets and the journal; its name must be short.
        kills: how often.
        rate: events per second.
        seed: of the moments.
        forked: start the process by a fork instead of a new interpreter.
    """
    config, report, rng = configuration(folder), Report(), random.Random(seed)
    listener = _Listener(config)
    feed, stop = EventFeed(config.journal_inbox), threading.Event()
    sender = threading.Thread(target=_send, args=(feed, rate, stop))
    sender.start()
    process = ForkedJournal(config) if forked else JournalProcess(config)
    try:
        _until(lambda: bool(listener.handed))  # else a busy machine has no client until the end
        for _ in range(kills):
            began_s = time.monotonic()
            _until(partial(_heard_since, listener, began_s))
            report.recovery_ms.append((listener.heard_s - began_s) * 1e3)
            time.sleep(rng.expovariate(1 / 0.08))
            process.kill()
            report.kills += 1
            if (said := integrity(config.journal_path)) != "ok":
                report.unsound.append(said)
            process.start()
        stop.set()
        sender.join()
        # What was sent before the client was there at all was never promised to it.
        report.sent = feed.published - listener.handed[0]
        _until(lambda: _tended(feed) and len(listener.handed) >= report.sent)
    finally:
        stop.set()
        sender.join()
        listener.close()
        feed.close()
        process.kill()
    inside = kept(config.journal_path)
    report.heard, report.handed = len(listener.heard), len(listener.handed)
    report.not_kept = sum(payload not in inside for payload in listener.heard)
    report.lost = report.sent - len(set(listener.handed))
    report.twice = sum(b <= a for a, b in itertools.pairwise(listener.handed))
    return report


def _tended(feed: EventFeed) -> bool:
    feed.tend()
    return feed.waiting == 0


def _heard_since(listener: _Listener, moment_s: float) -> bool:
    return listener.heard_s > moment_s


def _until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _END_WITHIN_S
    while not holds():
        if time.monotonic() > until_s:
            return  # the figures show what is missing
        time.sleep(0.005)


def main() -> int:
    """Print the figures as JSON; 1 if anything that must be 0 is not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jack-", dir="/tmp") as folder:
        report = run(Path(folder), kills=given.kills, rate=given.rate, seed=given.seed)
    times = sorted(report.recovery_ms)
    figures = {k: v for k, v in vars(report).items() if k != "recovery_ms"}
    figures |= {"recovery_ms_median": round(times[len(times) // 2]), "max": round(times[-1])}
    print(json.dumps(figures, indent=2))
    return int(any([report.not_kept, report.lost, report.twice, report.unsound]))


if __name__ == "__main__":
    sys.exit(main())
