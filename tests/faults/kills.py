"""Kills processes of a whole running system at random moments.

    python -m tests.faults.kills [--kills 200] [--minutes 30] [--seed 1]

Two streams (looped films with sound, looked at by VAANet's sound branch) run under the supervisor
with the journal and the metrics process. Again and again a process is drawn and killed (SIGKILL)
at a random moment. The system has recovered when all processes report that they run and both
streams have given an event since. It must hold that

- every event that a plain socket heard is in the journal,
- the client is handed every event of the journal from its first on, in order, none twice,
- ``PRAGMA integrity_check`` says ok after each kill.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import signal
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zmq

from jack_stream import log
from jack_stream.config import Config, parse
from jack_stream.events.schema import decode
from jack_stream.events.subscriber import Subscription
from jack_stream.service.supervisor import Supervisor
from jack_stream.wire.messages import Health
from tests.capture.media_files import RATE, write_video
from tests.faults.journal_kills import kept

__all__ = ["Report", "configuration", "run"]

STREAMS = ("door", "yard")
_START_S = 300.0
_RECOVER_S = 180.0


@dataclass
class Report:
    """What happened.

    Attributes:
        recoveries_s: role -> seconds from each kill until all was well again.
        heard: events that the plain socket heard.
        handed: events that the client was handed.
        not_kept: events that were heard and are not in the journal. Must be 0.
        lost: events of the journal that the client was never handed. Must be 0.
        twice: events that the client was handed twice or out of order. Must be 0.
        unsound: integrity checks that did not say ok. Must be 0.
    """

    recoveries_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    heard: int = 0
    handed: int = 0
    not_kept: int = 0
    lost: int = 0
    twice: int = 0
    unsound: int = 0

    def lines(self) -> list[str]:
        """For people."""
        every = sorted(itertools.chain(*self.recoveries_s.values()))
        roles = [
            _spread(f"  {role}: {len(took)} kills", took)
            for role, took in sorted(self.recoveries_s.items())
        ]
        return [
            _spread(f"{len(every)} kills", every),
            *roles,
            f"{self.heard} events heard, {self.not_kept} of them not in the journal",
            f"{self.handed} events handed to the client: {self.lost} lost, {self.twice} twice",
            f"{self.unsound} integrity checks failed",
        ]


def configuration(folder: Path) -> Config:
    """Two streams of one film each, with sockets and journal in a folder."""
    sound = (np.random.default_rng(1).standard_normal(2 * RATE) * 0.1).astype(np.float32)
    film = write_video(folder / "film.mkv", frames=50, sound=sound)
    voice = {"method": "vaanet-audio", "bundle": "untrained", "window_s": 1.0, "hop_s": 0.5}
    camera = {"source": str(film), "loop": True}
    table = {
        "runtime": {"directory": str(folder), "threads": 1},
        "events": {
            "endpoint": f"ipc://{folder}/events",
            "health_endpoint": f"ipc://{folder}/health-out",
        },
        "journal": {"path": str(folder / "state" / "events.sqlite")},
        "metrics": {"address": f"127.0.0.1:{_free_port()}"},
        "streams": [{"name": n, "camera": camera, "analyzers": [voice]} for n in STREAMS],
    }
    return parse(table, "kills")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class _Watcher:
    """Notes what a plain socket hears and what the client is handed."""

    def __init__(self, config: Config, stop: threading.Event) -> None:
        self.heard: set[int] = set()
        self.handed: list[int] = []
        self.newest: dict[str, int] = {}
        self._config = config
        self._stop = stop
        self.threads = [threading.Thread(target=t) for t in (self._listen, self._subscribe)]
        for thread in self.threads:
            thread.start()

    def _listen(self) -> None:
        plain: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        plain.setsockopt(zmq.LINGER, 0)
        plain.connect(self._config.events.endpoint)
        plain.subscribe("event.")
        while not self._stop.is_set():
            if plain.poll(100):
                position = decode(plain.recv_multipart()).position
                if position is not None:
                    self.heard.add(position.number)
        plain.close()

    def _subscribe(self) -> None:
        with Subscription(self._config.events.endpoint, retained=False) as client:
            while not self._stop.is_set():
                event = client.next(0.1)
                if event is not None and event.position is not None and not event.retained:
                    self.handed.append(event.position.number)
                    self.newest[event.stream] = event.published_at_ns


def _until(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    until_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > until_s:
            raise AssertionError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(0.02)


def run(kills: int, minutes: float, seed: int, folder: Path, say: Callable[[str], None]) -> Report:
    """Start a system in a folder, kill its processes, and compare what was seen with the journal.

    Raises:
        AssertionError: the system did not recover.
    """
    rng = random.Random(seed)
    config, report = configuration(folder), Report()
    stop, done = threading.Event(), threading.Event()
    states: dict[str, Health] = {}
    supervisor = Supervisor(config, on_health=lambda h: states.update({h.process: h}))
    watcher = _Watcher(config, done)
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()

    def well(since_ns: int) -> bool:
        running = all(
            child.pid is not None and child.health is not None and child.health.state == "running"
            for child in supervisor.children.values()
        )
        return running and all(watcher.newest.get(name, 0) > since_ns for name in STREAMS)

    try:
        _until(lambda: well(1), _START_S, "the start")
        until_s = time.monotonic() + minutes * 60
        for number in range(kills):
            if time.monotonic() > until_s:
                break
            time.sleep(rng.uniform(0, 1.5))
            child = rng.choice(list(supervisor.children.values()))
            pid, role = child.pid, child.plan.role
            if pid is None:
                continue
            began_s, at_ns = time.monotonic(), time.time_ns()
            os.kill(pid, signal.SIGKILL)
            _until(lambda: child.pid != pid, 10, "the supervisor's notice")  # noqa: B023 - in turn
            _until(lambda: well(at_ns), _RECOVER_S, f"recovery of {role}")  # noqa: B023 - in turn
            report.recoveries_s[role].append(time.monotonic() - began_s)
            report.unsound += _integrity(config.journal_path) != "ok"
            say(f"{number + 1}: {role} {report.recoveries_s[role][-1]:.1f} s")
    finally:
        stop.set()
        thread.join()
        time.sleep(1)
        done.set()
        for one in watcher.threads:
            one.join()
    return _compared(report, watcher, _numbers(config.journal_path))


def _spread(what: str, took_s: list[float]) -> str:
    median_s, longest_s = statistics.median(took_s), max(took_s)
    return f"{what}: well again after {median_s:.1f} s (median), {longest_s:.1f} s at the longest"


def _numbers(path: Path) -> set[int]:
    positions = (decode([b"", payload]).position for payload in kept(path))
    return {position.number for position in positions if position is not None}


def _integrity(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])


def _compared(report: Report, watcher: _Watcher, journal: set[int]) -> Report:
    report.heard, report.handed = len(watcher.heard), len(watcher.handed)
    report.not_kept = len(watcher.heard - journal)
    # The last ones may have been published after the client had stopped to listen for them.
    span = {n for n in journal if watcher.handed[0] <= n <= watcher.handed[-1]}
    report.lost = len(span - set(watcher.handed))
    backwards = sum(b <= a for a, b in itertools.pairwise(watcher.handed))
    repeated = sum(n - 1 for n in Counter(watcher.handed).values())
    report.twice = max(backwards, repeated)
    return report


def main() -> None:
    """Run it and print what happened; exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    log.set_up(quiet=True)
    with tempfile.TemporaryDirectory(prefix="jack-", dir="/tmp") as folder:

        def say(line: str) -> None:
            print(line, flush=True)

        report = run(options.kills, options.minutes, options.seed, Path(folder), say)
    print("\n".join(report.lines()))
    sys.exit(bool(report.not_kept or report.lost or report.twice or report.unsound))


if __name__ == "__main__":
    main()
