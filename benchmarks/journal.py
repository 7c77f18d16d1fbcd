"""What does the journal cost? Events per second, and the time that it adds to each event.

    python -m benchmarks.journal [--events 8000] [--paced 600] [--folder DIR]

Two ways take turns in one run: inference publishes by itself (``off``), or hands events to the real
journal process, which writes them to DIR and publishes them then (``on``). The latency is from
before ``publish()`` until a subscriber in another thread has the event, at 50 events a second in
windows of four; the rate is of a burst. ``publish`` is how long inference itself is held up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from jack_stream.clock import NS_PER_S
from jack_stream.config import Config, parse
from jack_stream.events.feed import EventFeed
from jack_stream.events.publisher import EventOutlet, EventPublisher
from jack_stream.events.schema import Event, EventWindow, Latency, ModelInfo
from tests.faults.journal_kills import JournalProcess

TURNS = 3
_WINDOW = EventWindow(index=0, start_ns=0, end_ns=NS_PER_S, start_s=0.0, end_s=1.0)
_LATENCY = Latency(capture_to_window_ms=1.0, queue_ms=1.0, inference_ms=1.0, publish_ms=1.0)
_LABELS = {"happy": 0.7, "sad": 0.1, "angry": 0.1, "neutral": 0.1}


def _event(seq: int, session: str) -> Event:
    return Event(
        stream="door", seq=seq, session=session, person=1, window=_WINDOW, label="happy",
        confidence=0.7, probabilities=_LABELS, modalities=("pose",), latency=_LATENCY,
        model=ModelInfo(method="bpm-gcn", bundle="d" * 64, trained=True),
        published_at_ns=time.time_ns(),
    )  # fmt: skip


def _configuration(folder: Path, state: Path) -> Config:
    table = {
        "runtime": {"directory": str(folder)},
        "events": {"endpoint": f"ipc://{folder}/events"},
        "journal": {"path": str(state / "events.sqlite")},
        "streams": [{"name": "door", "camera": {"source": "0"}}],
    }
    return parse(table, "benchmark")


class Ear:
    """Notes when each event came."""

    def __init__(self, endpoint: str) -> None:
        self.came_s: list[float] = []
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.subscribe(b"event.")
        self._socket.connect(endpoint)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close(linger=0)

    def wait_for(self, count: int, outlet: EventOutlet) -> None:
        until_s = time.monotonic() + 60
        while len(self.came_s) < count:
            if time.monotonic() > until_s:
                raise TimeoutError(f"{len(self.came_s)} of {count} events came in a minute")
            outlet.tend()
            time.sleep(0.001)

    def _listen(self) -> None:
        while not self._stop.is_set():
            if self._socket.poll(50):
                self._socket.recv_multipart()
                self.came_s.append(time.perf_counter())


@contextmanager
def _system(*, journal: bool, state: Path) -> Iterator[tuple[EventOutlet, Ear]]:
    with tempfile.TemporaryDirectory(prefix="jack-", dir="/tmp") as name:
        config = _configuration(Path(name), state)
        process = JournalProcess(config) if journal else None
        outlet: EventOutlet
        if journal:
            outlet = EventFeed(config.journal_inbox)
        else:
            outlet = EventPublisher(config.events.endpoint)
        ear = Ear(config.events.endpoint)
        try:
            until_s = time.monotonic() + 60
            while not ear.came_s and time.monotonic() < until_s:
                outlet.publish(_event(0, outlet.session))
                time.sleep(0.05)
            time.sleep(0.5)
            ear.came_s.clear()
            yield outlet, ear
        finally:
            ear.close()
            outlet.close()
            if process is not None:
                process.kill()


def _paced(outlet: EventOutlet, ear: Ear, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the subscriber, and in ``publish()``."""
    sent, held = [], []
    for i in range(count):
        began_s = time.perf_counter()
        outlet.publish(_event(i, outlet.session))
        sent.append(began_s)
        held.append((time.perf_counter() - began_s) * 1e3)
        if i % 4 == 3:  # a window's people
            time.sleep(4 / 50)
    ear.wait_for(count, outlet)
    return [(b - a) * 1e3 for a, b in zip(sent, ear.came_s, strict=True)], held


def _burst(outlet: EventOutlet, ear: Ear, count: int) -> float:
    ear.came_s.clear()
    began_s = time.perf_counter()
    for i in range(count):
        outlet.publish(_event(i, outlet.session))
    ear.wait_for(count, outlet)
    return count / (ear.came_s[-1] - began_s)


def _shares(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "max": round(max(values), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=8000, help="in a burst; at most 10000")
    parser.add_argument("--paced", type=int, default=600)
    parser.add_argument("--folder", type=Path, default=Path.home(), help="on the disk to measure")
    given = parser.parse_args()
    latency: dict[bool, list[float]] = {False: [], True: []}
    held: dict[bool, list[float]] = {False: [], True: []}
    rates: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(TURNS):
        for journal in (False, True):
            with (
                tempfile.TemporaryDirectory(dir=given.folder) as state,
                _system(journal=journal, state=Path(state)) as (outlet, ear),
            ):
                to_subscriber, in_publish = _paced(outlet, ear, given.paced)
                latency[journal] += to_subscriber
                held[journal] += in_publish
                rates[journal].append(_burst(outlet, ear, given.events))
    for journal, name in ((False, "off"), (True, "on")):
        print(json.dumps({
            "journal": name,
            "latency_ms": _shares(latency[journal]),
            "publish_ms": _shares(held[journal]),
            "events_per_s": [round(rate) for rate in rates[journal]],
        }))  # fmt: skip


if __name__ == "__main__":
    main()
