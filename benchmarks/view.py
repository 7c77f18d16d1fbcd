"""What does the live page cost, and do events come later for it?

    python benchmarks/view.py [--rounds 6] [--seconds 8]

The whole demo runs with the page as one of its processes: scene, MediaPipe's poses, BPM-GCN with
weights of chance twice a second. Browsers' stand-ins come and go, in turns of nobody, one and three
on this machine; they take every picture as soon as they have the one before. The first round and
the first seconds of a turn do not count. Latency is from the capture of a window's newest sample to
this subscriber; a round compares its turns with each other, so that what else the machine does
counts for all of them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from websockets.sync.client import ClientConnection, connect

from jack_stream import log
from jack_stream.clock import Clock
from jack_stream.config import Config, ViewSettings, parse
from jack_stream.events.subscriber import Subscription
from jack_stream.service.session import private
from jack_stream.service.supervisor import Supervisor

VIEWERS = (0, 1, 3)
SETTLE_S = 2.5
START_WITHIN_S = 400.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Turn:
    """What was measured while so many looked."""

    latency_ms: list[float] = field(default_factory=list)
    cores: float = 0.0
    pictures: float = 0.0


class Viewer:
    """A browser's stand-in in a process of its own, which looks while it is wanted."""

    def __init__(self, port: int) -> None:
        self.wanted = multiprocessing.Event()
        self.pictures = multiprocessing.Value("L", 0)
        self._port = port
        self._process = multiprocessing.Process(target=self._run, daemon=True)
        self._process.start()

    def close(self) -> None:
        self._process.kill()
        self._process.join()

    def _run(self) -> None:
        origin = f"http://localhost:{self._port}"
        while self.wanted.wait():
            with connect(f"ws://localhost:{self._port}/live", origin=origin) as page:
                while self.wanted.is_set():
                    with suppress(TimeoutError):
                        self._take(page, page.recv(timeout=0.2))

    def _take(self, page: ClientConnection, message: str | bytes) -> None:
        if isinstance(message, bytes):
            (length,) = struct.unpack("<I", message[:4])
            stream = json.loads(message[4 : 4 + length])["stream"]
            page.send(json.dumps({"type": "seen", "stream": stream, "size": "small"}))
            self.pictures.value += 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def demo(port: int) -> Iterator[tuple[Config, Supervisor]]:
    """All processes of the demo with the page, under the supervisor."""
    analyzer = {"method": "bpm-gcn", "bundle": "untrained", "hop_s": 0.5}
    stream = {"name": "demo", "scene": {"seconds": 3600}, "pose": {}, "analyzers": [analyzer]}
    page = ViewSettings(enabled=True, address=f"127.0.0.1:{port}")
    with private(parse({"streams": [stream]}, "benchmark")) as without:
        config = without.model_copy(update={"view": page})
        supervisor, stop = Supervisor(config), threading.Event()
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            yield config, supervisor
        finally:
            stop.set()
            thread.join()


def cpu_s(pid: int) -> float:
    """User and system time of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def measure(page: int, viewers: list[Viewer], seconds: float, events: Subscription) -> Turn:
    """One turn, looked at by some; ``page`` is the number of the page's process."""
    turn, clock = Turn(), Clock()
    for viewer in viewers:
        viewer.wanted.set()
    settled_s = time.monotonic() + SETTLE_S
    while (left_s := settled_s - time.monotonic()) > 0:
        events.next(left_s)
    began_s, before_s = time.monotonic(), cpu_s(page)
    seen = sum(viewer.pictures.value for viewer in viewers)
    while (left_s := began_s + seconds - time.monotonic()) > 0:
        event = events.next(left_s)
        if event is not None:
            way_ms = (clock.now_ns() - event.published_at_ns) / 1e6
            turn.latency_ms.append(event.latency.total_ms + way_ms)
    took_s = time.monotonic() - began_s
    turn.cores = (cpu_s(page) - before_s) / took_s
    drawn = sum(viewer.pictures.value for viewer in viewers) - seen
    turn.pictures = drawn / took_s / max(1, len(viewers))
    for viewer in viewers:
        viewer.wanted.clear()
    return turn


def report(turns: dict[int, list[Turn]]) -> None:
    """Print what came of it."""
    print("| viewers | events | latency p50 ms | p95 ms | pictures/s each | page's cores |")
    print("|---" * 6 + "|")
    cores, means = {}, {}
    for viewers, found in turns.items():
        latency = np.percentile(np.concatenate([turn.latency_ms for turn in found]), [50, 95])
        means[viewers] = np.array([np.mean(turn.latency_ms) for turn in found])
        cores[viewers] = np.median([turn.cores for turn in found])
        rate = np.median([turn.pictures for turn in found])
        count = sum(len(turn.latency_ms) for turn in found)
        cells = [f"{viewers}", f"{count}", *(f"{value:.1f}" for value in (*latency, rate))]
        print(f"| {' | '.join(cells)} | {cores[viewers]:.3f} |")
    more = (means[3] / means[0] - 1) * 100
    low, high = np.percentile(_resampled(more), [2.5, 97.5])
    print(f"three viewers against none: {more.mean():+.1f} % ({low:+.1f} to {high:+.1f} in 95 %)")
    one, three = cores[1] - cores[0], (cores[3] - cores[1]) / 2
    print(f"cores for the first viewer of a stream: {one:.3f}; for each more: {three:.3f}")
    allowed = len(os.sched_getaffinity(0))
    print(f"load {os.getloadavg()[0]:.1f}; {allowed} of {os.cpu_count()} cores allowed")


def _resampled(values: np.ndarray) -> np.ndarray:
    """Means of samples with replacement."""
    chosen = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    return np.asarray(values[chosen].mean(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=8, help="of a turn")
    options = parser.parse_args()
    log.set_up(quiet=True)
    turns: dict[int, list[Turn]] = defaultdict(list)
    port = _free_port()
    viewers = [Viewer(port) for _ in range(max(VIEWERS))]
    with ExitStack() as stack:
        for viewer in viewers:
            stack.callback(viewer.close)
        config, supervisor = stack.enter_context(demo(port))
        events = stack.enter_context(Subscription(config.events.endpoint))
        if events.next(START_WITHIN_S) is None:
            raise TimeoutError(f"no event in {START_WITHIN_S:.0f} s")
        for number in range(-1, options.rounds):  # the first round warms up
            for count in VIEWERS if number % 2 == 0 else VIEWERS[::-1]:
                page = supervisor.children["view"].pid
                assert page is not None, "the page has died"
                turn = measure(page, viewers[:count], options.seconds, events)
                if not turn.latency_ms:
                    raise SystemExit("a turn without events: the machine is too busy to measure")
                if number >= 0:
                    turns[count].append(turn)
    report(dict(sorted(turns.items())))


if __name__ == "__main__":
    main()
