"""Frames over the wire: this project's Publisher and Receiver next to imagezmq, taking turns.

    pip install --no-deps --target /tmp/imagezmq imagezmq
    PYTHONPATH=/tmp/imagezmq python benchmarks/transport.py [--rounds 3] [--seconds 2]

Two processes per contestant; both send NumPy arrays uncompressed and lose none. First as fast as
they go (frames and MB per second, CPU time of each side per frame), then at 30 frames per second
(age of a frame when it is handed to the reader, share of a core that each side takes). Medians over
the rounds; contestants take turns within a round, so that other work on the machine hits all alike.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event as ThreadEvent
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.wire.messages import Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver

SIZES = {"640x480": (480, 640), "1280x720": (720, 1280)}
PACED_FPS = 30
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class MonotonicClock:
    """The one clock that both processes read alike to the nanosecond."""

    def now_ns(self) -> int:
        return time.monotonic_ns()


@dataclass(frozen=True)
class Contestant:
    name: str
    transport: str
    ours: bool


CONTESTANTS = (
    Contestant("JACK Stream, lossless, ipc", "ipc", ours=True),
    Contestant("imagezmq, REQ/REP, ipc", "ipc", ours=False),
    Contestant("JACK Stream, lossless, tcp", "tcp", ours=True),
    Contestant("imagezmq, REQ/REP, tcp", "tcp", ours=False),
)


class Turn(NamedTuple):
    """What one turn measured; CPU in seconds."""

    frames: int
    seconds: float
    sender_cpu_s: float
    receiver_cpu_s: float
    ages_ms: list[float]


def _paces(fps: float | None) -> Iterator[None]:
    """Wait until each frame is due; never, where no rate is asked for."""
    due_ns = time.monotonic_ns()
    while True:
        if fps is not None:
            time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S))
            due_ns += int(NS_PER_S / fps)
        yield


def _send(contestant: Contestant, endpoint: str, size: tuple[int, int], fps: float | None) -> None:
    """Send until killed."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    if contestant.ours:
        publisher = Publisher(
            endpoint, "door", policy=Policy.LOSSLESS, clock=MonotonicClock(), wait_for=1
        )
        publisher.wait_for_receivers(ThreadEvent())
        for _ in _paces(fps):
            publisher.frame(image, time.monotonic_ns())
    else:
        sender = importlib.import_module("imagezmq").ImageSender(connect_to=endpoint)
        for _ in _paces(fps):
            sender.send_image(str(time.monotonic_ns()), image)


@contextmanager
def _reader(
    contestant: Contestant, endpoint: str
) -> Iterator[Callable[[], tuple[int, NDArray[np.uint8]]]]:
    """A function that gives the next frame and when it was captured."""
    if contestant.ours:
        with Receiver([endpoint], {"frame"}, policy=Policy.LOSSLESS) as receiver:

            def ours() -> tuple[int, NDArray[np.uint8]]:
                message = receiver.get(30)
                if not isinstance(message, Frame):
                    raise TimeoutError(f"no frame from {endpoint} in 30 s")
                return message.stamp.captured_at_ns, message.image

            yield ours
        return
    with importlib.import_module("imagezmq").ImageHub(open_port=endpoint) as hub:

        def theirs() -> tuple[int, NDArray[np.uint8]]:
            said, image = hub.recv_image()
            hub.send_reply(b"OK")
            return int(said), image

        yield theirs


def _cpu_s(pid: int) -> float:
    """User and system time of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _receive(contestant: Contestant, endpoint: str, seconds: float, links: Any) -> None:
    """Measure one turn, of which the first 20 frames do not count."""
    sender_pid = links.get(timeout=60)
    with _reader(contestant, endpoint) as read:
        for _ in range(20):
            read()
        begin, cpu_s, theirs_s = time.monotonic(), time.process_time(), _cpu_s(sender_pid)
        ages_ms, frames, now = [], 0, begin
        while now - begin < seconds:
            captured_at_ns, image = read()
            ages_ms.append((time.monotonic_ns() - captured_at_ns) / 1e6)
            frames += int(image.shape[2] == 3)
            now = time.monotonic()
        turn = Turn(
            frames,
            now - begin,
            _cpu_s(sender_pid) - theirs_s,
            time.process_time() - cpu_s,
            ages_ms,
        )
    links.put(turn)
    links.close()
    links.join_thread()


def _turn(contestant: Contestant, size: tuple[int, int], fps: float | None, seconds: float) -> Turn:
    context = multiprocessing.get_context("spawn")
    links: Any = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        port = 20000 + int(time.monotonic_ns() // 1000 % 20000)
        endpoint = (
            f"ipc://{folder}/s" if contestant.transport == "ipc" else f"tcp://127.0.0.1:{port}"
        )
        receiver = context.Process(target=_receive, args=(contestant, endpoint, seconds, links))
        sender = context.Process(target=_send, args=(contestant, endpoint, size, fps))
        receiver.start()
        sender.start()
        links.put(sender.pid)
        try:
            receiver.join(60 + seconds)
            turn = links.get(timeout=5)
        finally:
            sender.kill()
            receiver.kill()
            sender.join()
            receiver.join()
    assert isinstance(turn, Turn)
    return turn


def _flat_out(size: tuple[int, int], turns: list[Turn]) -> list[str]:
    megabytes = size[0] * size[1] * 3 / 1e6
    fps = statistics.median(turn.frames / turn.seconds for turn in turns)
    cpus = [
        statistics.median(cpu_s / turn.frames * 1e3 for turn, cpu_s in pairs)
        for pairs in (
            [(turn, turn.sender_cpu_s) for turn in turns],
            [(turn, turn.receiver_cpu_s) for turn in turns],
        )
    ]
    return [f"{fps:.0f}", f"{fps * megabytes:.0f}", *(f"{cpu:.2f}" for cpu in cpus)]


def _paced(turns: list[Turn]) -> list[str]:
    ages = np.concatenate([turn.ages_ms for turn in turns])
    sender = statistics.median(turn.sender_cpu_s / turn.seconds for turn in turns)
    receiver = statistics.median(turn.receiver_cpu_s / turn.seconds for turn in turns)
    p50, p99 = np.percentile(ages, [50, 99])
    return [f"{p50:.1f}", f"{p99:.1f}", f"{sender:.1%}", f"{receiver:.1%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn")
    options = parser.parse_args()
    print(
        "| frame | contestant | frames/s | MB/s | sender ms/frame | receiver ms/frame"
        " | 30 fps: age p50 ms | p99 ms | sender CPU | receiver CPU |\n" + "|---" * 10 + "|"
    )
    for label, size in SIZES.items():
        turns: dict[tuple[str, float | None], list[Turn]] = {}
        for _ in range(options.rounds):
            for fps, contestant in itertools.product((None, PACED_FPS), CONTESTANTS):
                turn = _turn(contestant, size, fps, options.seconds)
                turns.setdefault((contestant.name, fps), []).append(turn)
        for contestant in CONTESTANTS:
            cells = [
                label,
                contestant.name,
                *_flat_out(size, turns[contestant.name, None]),
                *_paced(turns[contestant.name, PACED_FPS]),
            ]
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
