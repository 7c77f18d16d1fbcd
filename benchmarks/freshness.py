"""How old is the frame that a slow reader takes up? High-water marks against a draining thread.

    python benchmarks/freshness.py [--seconds 5]

A sender publishes 600 kB frames at 100 a second; the reader works 100 ms on each. The age is taken
when the work begins, on the monotonic clock that both processes share. Ends with status 1 if this
project's receiver is not at least five times fresher than a high-water mark of one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event

import numpy as np
import zmq

from jack_stream.clock import NS_PER_S
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver

HEIGHT, WIDTH = 400, 500  # 600 kB
FPS = 100
WORK_S = 0.1
LEAST_GAIN = 5


class MonotonicClock:
    """The one clock that both processes read alike to the nanosecond."""

    def now_ns(self) -> int:
        return time.monotonic_ns()


@dataclass(frozen=True)
class Contestant:
    """A way to set up PUB and SUB; None for a high-water mark is ZeroMQ's default, 1000."""

    name: str
    transport: str = "tcp"
    hwm: int | None = None
    buffer_bytes: int | None = None
    drain: bool = False
    conflate: bool = False
    ours: bool = False


CONTESTANTS = (
    Contestant("default HWM (1000)"),
    Contestant("SNDHWM = RCVHWM = 1", hwm=1),
    Contestant("HWM 1 + 64 kB kernel buffers", hwm=1, buffer_bytes=65536),
    Contestant("ipc, HWM 1", transport="ipc", hwm=1),
    Contestant("HWM 2 + reader drains to latest", hwm=2, drain=True),
    Contestant("default HWM + reader drains to latest", drain=True),
    Contestant("CONFLATE (one part, one slot for all topics)", conflate=True),
    Contestant("Publisher and Receiver, live, tcp", ours=True),
    Contestant("Publisher and Receiver, live, ipc", transport="ipc", ours=True),
)


def _socket(contestant: Contestant, kind: int) -> zmq.Socket[bytes]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    socket = context.socket(kind)
    if contestant.hwm is not None:
        socket.set_hwm(contestant.hwm)
    if contestant.buffer_bytes is not None:
        socket.setsockopt(zmq.SNDBUF, contestant.buffer_bytes)
        socket.setsockopt(zmq.RCVBUF, contestant.buffer_bytes)
    if contestant.conflate:
        socket.setsockopt(zmq.CONFLATE, 1)
    socket.setsockopt(zmq.LINGER, 0)
    return socket


def _send(
    contestant: Contestant, endpoint: str, bound: multiprocessing.Queue[str], stop: Event
) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    emit: Callable[[int], object]
    if contestant.ours:
        publisher = Publisher(endpoint, "door", policy=Policy.LIVE, clock=MonotonicClock())
        bound.put(publisher.endpoint)

        def emit(now_ns: int) -> object:
            return publisher.frame(image, now_ns)

    else:
        socket = _socket(contestant, zmq.PUB)
        socket.bind(endpoint)
        bound.put(socket.getsockopt_string(zmq.LAST_ENDPOINT))
        pixels = image.tobytes()

        def emit(now_ns: int) -> object:
            return socket.send(now_ns.to_bytes(8, "big") + pixels)

    due_ns = time.monotonic_ns()
    while not stop.wait(max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S)):
        emit(time.monotonic_ns())
        due_ns += NS_PER_S // FPS


def _reader(contestant: Contestant, endpoint: str) -> Callable[[], int]:
    """A function that gives the capture time of the frame that it would work on now."""
    if contestant.ours:
        receiver = Receiver([endpoint], {"frame"}, capacity={"frame": 1})

        def newest() -> int:
            while (message := receiver.get(1)) is None:
                pass
            return message.stamp.captured_at_ns

        return newest
    socket = _socket(contestant, zmq.SUB)
    socket.connect(endpoint)
    socket.subscribe("")

    def next_one() -> int:
        data = socket.recv()
        while contestant.drain and socket.poll(0):
            data = socket.recv()
        return int.from_bytes(data[:8], "big")

    return next_one


def _read(contestant: Contestant, endpoint: str, seconds: float) -> list[float]:
    read = _reader(contestant, endpoint)
    read()
    ages_ms = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ages_ms.append((-read() + time.monotonic_ns()) / 1e6)
        time.sleep(WORK_S)
    return ages_ms


def _run(contestant: Contestant, seconds: float) -> list[float]:
    context = multiprocessing.get_context("spawn")
    bound: multiprocessing.Queue[str] = context.Queue()
    stop = context.Event()
    with tempfile.TemporaryDirectory() as folder:
        wanted = "tcp://127.0.0.1:*" if contestant.transport == "tcp" else f"ipc://{folder}/s"
        sender = context.Process(target=_send, args=(contestant, wanted, bound, stop), daemon=True)
        sender.start()
        try:
            return _read(contestant, bound.get(timeout=60), seconds)
        finally:
            stop.set()
            sender.join(5)
            sender.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=5, help="of reading, per row")
    seconds = parser.parse_args().seconds
    print("| socket setup | median age | worst |\n|---|---|---|")
    medians = {}
    for contestant in CONTESTANTS:
        ages = _run(contestant, seconds)
        medians[contestant.name] = statistics.median(ages)
        print(f"| {contestant.name} | {medians[contestant.name]:.0f} ms | {max(ages):.0f} ms |")
    ours = max(medians[contestant.name] for contestant in CONTESTANTS if contestant.ours)
    return 0 if ours * LEAST_GAIN <= medians["SNDHWM = RCVHWM = 1"] else 1


if __name__ == "__main__":
    sys.exit(main())
