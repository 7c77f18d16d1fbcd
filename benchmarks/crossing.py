"""How should pictures cross from one process to another? And what do views of them save?

    python -m benchmarks.crossing [--rounds 3] [--seconds 2] [--views]

The first table compares what this project does (ipc, buffers that Python does not copy) with a ring
in shared memory whose descriptors go the same way: the sender copies each picture into a slot, and
the reader either looks at it there, which is safe only until the sender comes round again, or
copies it out. As in benchmarks/transport.py: as fast as they go, then at 30 frames per second.

With --views: what a camera costs whose pictures are looked at by networks of 112 pixels, per
picture, at 25 a second: shrunk by the reader (once for each of three methods, or for one) or by the
sender, as it is now. CPU is user and system time of both processes.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.transport import (
    Contestant,
    MonotonicClock,
    Read,
    Reader,
    Size,
    compare,
    measure,
    noise,
    paces,
    read_ours,
    send_ours,
)
from jack_stream.features.spatial import centre_view
from jack_stream.features.views import VIEWS
from jack_stream.wire.messages import Frame, Kind
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver

SIZES = {"640x480": (480, 640), "1280x720": (720, 1280), "1920x1080": (1080, 1920)}
CAMERAS = {"640x360": (360, 640), "1280x720": (720, 1280)}
CAMERA_FPS = 25
_SLOTS = 8
_HEAD = 64  # bytes before the slots: how many pictures the reader is done with, height, width


def _ring(endpoint: str) -> Path:
    name = "".join(c for c in endpoint if c.isalnum())  # of a random folder
    return Path("/dev/shm", f"jack-{name}")  # noqa: S108 - memory is what is measured


def _slots(ring: Path, size: Size) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    head = np.memmap(ring, np.int64, "r+", shape=(3,))
    return head, np.memmap(ring, np.uint8, "r+", _HEAD, (_SLOTS, *size, 3))


def _send_ring(endpoint: str, size: Size, fps: float | None) -> None:
    _ring(endpoint).write_bytes(bytes(_HEAD + _SLOTS * size[0] * size[1] * 3))
    head, slots = _slots(_ring(endpoint), size)
    head[:] = (0, *size)
    image = noise(size)
    with Publisher(
        endpoint, "door", policy=Policy.LOSSLESS, clock=MonotonicClock(), wait_for=1
    ) as publisher:
        publisher.wait_for_receivers(threading.Event())
        for number, _ in enumerate(paces(fps)):
            while number - int(head[0]) >= _SLOTS:
                time.sleep(20e-6)
            now_ns = time.monotonic_ns()
            slots[number % _SLOTS] = image
            publisher.frame(np.full((1, 1, 3), number % _SLOTS, np.uint8), now_ns)


@contextmanager
def _read_ring(endpoint: str, *, copies: bool) -> Iterator[Reader]:
    with Receiver([endpoint], {"frame"}, policy=Policy.LOSSLESS) as receiver:
        first = receiver.get(30)
        ring = _ring(endpoint)
        _, height, width = np.fromfile(ring, np.int64, 3)
        head, slots = _slots(ring, (int(height), int(width)))
        ring.unlink()
        head[0] += first is not None

        def read() -> Read:
            message = receiver.get(30)
            if not isinstance(message, Frame):
                raise TimeoutError(f"no frame from {endpoint} in 30 s")
            image = slots[message.image[0, 0, 0]]
            head[0] += 1
            return Read(message.stamp.captured_at_ns, image.copy() if copies else image)

        yield read


RINGS = (
    Contestant("ipc, as it is", "ipc", send_ours, read_ours),
    Contestant(
        "shared memory, looked at in place", "ipc", _send_ring, partial(_read_ring, copies=False)
    ),
    Contestant("shared memory, copied out", "ipc", _send_ring, partial(_read_ring, copies=True)),
)


def _send_views(endpoint: str, size: Size, fps: float | None) -> None:
    image = noise(size)
    with Publisher(
        endpoint,
        "door",
        policy=Policy.LOSSLESS,
        clock=MonotonicClock(),
        wait_for=1,
        views=VIEWS,
    ) as publisher:
        publisher.wait_for_receivers(threading.Event())
        for _ in paces(fps):
            publisher.frame(image, time.monotonic_ns())


@contextmanager
def _read_views(endpoint: str, *, kind: Kind, methods: int) -> Iterator[Reader]:
    with Receiver([endpoint], {kind}, policy=Policy.LOSSLESS) as receiver:

        def read() -> Read:
            message = receiver.get(30)
            if not isinstance(message, Frame):
                raise TimeoutError(f"no frame from {endpoint} in 30 s")
            image = message.image
            for _ in range(methods):
                image = centre_view(message.image)
            return Read(message.stamp.captured_at_ns, image)

        yield read


def _way(name: str, kind: Kind, methods: int) -> Contestant:
    read = partial(_read_views, kind=kind, methods=methods)
    return Contestant(name, "ipc", _send_views, read)


WAYS = (
    _way("view, made by the sender", "view.112", 0),
    _way("picture, shrunk for one method", "frame", 1),
    _way("picture, shrunk for three", "frame", 3),
)


def _compare_views(rounds: int, seconds: float) -> None:
    print("| picture | what crosses | MB/s | sender ms/picture | reader ms/picture |")
    print("|---" * 5 + "|")
    for label, size in CAMERAS.items():
        found: dict[str, list[tuple[float, float]]] = {}
        for _, way in itertools.product(range(rounds), WAYS):
            turn = measure(way, size, CAMERA_FPS, seconds)
            costs = (turn.sender_cpu_s / turn.frames, turn.receiver_cpu_s / turn.frames)
            found.setdefault(way.name, []).append(costs)
        for way in WAYS:
            side = (112, 112) if way is WAYS[0] else size
            rate = CAMERA_FPS * side[0] * side[1] * 3 / 1e6
            sender, reader = (
                statistics.median(cost[i] for cost in found[way.name]) * 1e3 for i in (0, 1)
            )
            print(f"| {label} | {way.name} | {rate:.1f} | {sender:.2f} | {reader:.2f} |")


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn")
    parser.add_argument("--views", action="store_true", help="what views save")
    options = parser.parse_args()
    if options.views:
        _compare_views(options.rounds, options.seconds)
    else:
        compare(RINGS, SIZES, options)


if __name__ == "__main__":
    main()
