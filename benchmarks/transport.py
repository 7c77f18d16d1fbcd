r"""Frames over the wire: this project's next to imagezmq and VidGear's NetGear, taking turns.

    pip install --no-deps --target /tmp/peers imagezmq vidgear simplejpeg colorlog requests \
        urllib3 idna certifi charset-normalizer
    PYTHONPATH=/tmp/peers python -m benchmarks.transport [--rounds 3] [--seconds 2] \
        [--size 1280x720]

Two processes per contestant; all send NumPy arrays uncompressed and lose none, but for imagezmq's
PUB/SUB, which drops what its reader is too slow for. First as fast as they go (frames and MB per
second, CPU time of each side per frame), then at 30 frames per second (age of a frame when it is
handed to the reader, share of a core that each side takes). Medians over the rounds; contestants
take turns within a round, so that other work on the machine hits all alike. Peers that are not
installed are left out.
"""

from __future__ import annotations

import importlib.util
import itertools
import multiprocessing
import os
import statistics
import struct
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event as ThreadEvent
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.wire.access import HERE, Access
from jack_stream.wire.messages import Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver

SIZES = {"640x480": (480, 640), "1280x720": (720, 1280)}
PACED_FPS = 30
_PAGE = 4096
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class MonotonicClock:
    """The one clock that both processes read alike to the nanosecond."""

    def now_ns(self) -> int:
        return time.monotonic_ns()


class Read(NamedTuple):
    """A frame and when it was captured, on the monotonic clock."""

    captured_at_ns: int
    image: NDArray[np.uint8]


Reader: TypeAlias = Callable[[], Read]
Size: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Contestant:
    """A way from one process to another.

    Attributes:
        name: in the table.
        transport: ipc or tcp.
        send: address, height and width, frames per second (None: all it can); sends until killed.
        reader: address -> what gives the next frame.
        needs: what must be installed.
    """

    name: str
    transport: str
    send: Callable[[str, Size, float | None], None]
    reader: Callable[[str], AbstractContextManager[Reader]]
    needs: str = "zmq"


class Turn(NamedTuple):
    """What one turn measured; CPU in seconds."""

    frames: int
    seconds: float
    sender_cpu_s: float
    receiver_cpu_s: float
    ages_ms: list[float]


def noise(size: Size) -> NDArray[np.uint8]:
    """A picture."""
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


def paces(fps: float | None) -> Iterator[None]:
    """Wait until each frame is due; never, where no rate is asked for."""
    due_ns = time.monotonic_ns()
    while True:
        if fps is not None:
            time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S))
            due_ns += int(NS_PER_S / fps)
        yield


def send_ours(endpoint: str, size: Size, fps: float | None) -> None:
    with Publisher(
        endpoint, "door", policy=Policy.LOSSLESS, clock=MonotonicClock(), wait_for=1
    ) as publisher:
        image = noise(size)
        publisher.wait_for_receivers(ThreadEvent())
        for _ in paces(fps):
            publisher.frame(image, time.monotonic_ns())


ELSEWHERE = Access(insecure=True)
"""A reader with this gets pictures as one on another machine does: their bytes, not their place."""


@contextmanager
def read_ours(endpoint: str, access: Access = HERE) -> Iterator[Reader]:
    with Receiver([endpoint], {"frame"}, policy=Policy.LOSSLESS, access=access) as receiver:

        def read() -> Read:
            message = receiver.get(30)
            if not isinstance(message, Frame):
                raise TimeoutError(f"no frame from {endpoint} in 30 s")
            return Read(message.stamp.captured_at_ns, message.image)

        yield read


def send_imagezmq(endpoint: str, size: Size, fps: float | None, *, replies: bool = True) -> None:
    sender = importlib.import_module("imagezmq").ImageSender(connect_to=endpoint, REQ_REP=replies)
    image = noise(size)
    for _ in paces(fps):
        sender.send_image(str(time.monotonic_ns()), image)


@contextmanager
def read_imagezmq(endpoint: str, *, replies: bool = True) -> Iterator[Reader]:
    hub = importlib.import_module("imagezmq").ImageHub(open_port=endpoint, REQ_REP=replies)
    with hub:

        def read() -> Read:
            said, image = hub.recv_image()
            if replies:
                hub.send_reply(b"OK")
            return Read(int(said), image)

        yield read


def _netgear(endpoint: str, *, receives: bool) -> Any:
    """Its default pattern, PAIR, but without JPEG, which takes several times as long."""
    protocol, address = endpoint.split("://")
    host, _, port = address.partition(":")
    netgear = importlib.import_module("vidgear.gears").NetGear
    return netgear(
        address=host,
        port=port or "0",
        protocol=protocol,
        receive_mode=receives,
        logging=False,
        jpeg_compression=False,
    )


def _send_netgear(endpoint: str, size: Size, fps: float | None) -> None:
    sender = _netgear(endpoint, receives=False)
    image = noise(size)
    for _ in paces(fps):
        image.reshape(-1)[:8] = np.frombuffer(struct.pack("<q", time.monotonic_ns()), np.uint8)
        sender.send(image)


@contextmanager
def _read_netgear(endpoint: str) -> Iterator[Reader]:
    receiver = _netgear(endpoint, receives=True)

    def read() -> Read:
        image = receiver.recv()
        return Read(struct.unpack("<q", image.reshape(-1)[:8].tobytes())[0], image)

    yield read
    os._exit(0)  # its closing waits for a sender that is gone


CONTESTANTS = (
    Contestant("JACK Stream, lossless, ipc", "ipc", send_ours, read_ours),
    Contestant("JACK Stream, lossless, tcp", "tcp", send_ours, read_ours),
    Contestant(
        "JACK Stream, lossless, tcp, as from elsewhere",
        "tcp",
        send_ours,
        partial(read_ours, access=ELSEWHERE),
    ),
    *(
        Contestant(f"{name}, {transport}", transport, send, reader, needs)
        for transport in ("ipc", "tcp")
        for name, send, reader, needs in (
            ("imagezmq, REQ/REP", send_imagezmq, read_imagezmq, "imagezmq"),
            (
                "imagezmq, PUB/SUB",
                partial(send_imagezmq, replies=False),
                partial(read_imagezmq, replies=False),
                "imagezmq",
            ),
            ("NetGear, PAIR", _send_netgear, _read_netgear, "vidgear"),
        )
    ),
)


def _cpu_s(pid: int) -> float:
    """User and system time of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _receive(
    contestant: Contestant, endpoint: str, seconds: float, sender_pid: int, links: Any
) -> None:
    """Measure one turn, of which the first 20 frames do not count."""
    with contestant.reader(endpoint) as read:
        for _ in range(20):
            read()
        begin, cpu_s, theirs_s = time.monotonic(), time.process_time(), _cpu_s(sender_pid)
        ages_ms, frames, now = [], 0, begin
        while now - begin < seconds:
            captured_at_ns, image = read()
            ages_ms.append((time.monotonic_ns() - captured_at_ns) / 1e6)
            frames += int(image.reshape(-1)[::_PAGE].sum() > 0)  # every page is looked at
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


def measure(contestant: Contestant, size: Size, fps: float | None, seconds: float) -> Turn:
    """One turn of one contestant."""
    context = multiprocessing.get_context("spawn")
    links: Any = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        port = 20000 + int(time.monotonic_ns() // 1000 % 20000)
        endpoint = (
            f"ipc://{folder}/s" if contestant.transport == "ipc" else f"tcp://127.0.0.1:{port}"
        )
        sender = context.Process(target=contestant.send, args=(endpoint, size, fps))
        sender.start()
        receiver = context.Process(
            target=_receive, args=(contestant, endpoint, seconds, sender.pid, links)
        )
        receiver.start()
        try:
            turn = links.get(timeout=60 + seconds)
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


def compare(contestants: Sequence[Contestant], sizes: dict[str, Size], options: Namespace) -> None:
    """Let them take turns and print a table."""
    print(
        "| frame | contestant | frames/s | MB/s | sender ms/frame | receiver ms/frame"
        " | 30 fps: age p50 ms | p99 ms | sender CPU | receiver CPU |\n" + "|---" * 10 + "|"
    )
    for label, size in sizes.items():
        turns: dict[tuple[str, float | None], list[Turn]] = {}
        for _ in range(options.rounds):
            for fps, contestant in itertools.product((None, PACED_FPS), contestants):
                turn = measure(contestant, size, fps, options.seconds)
                turns.setdefault((contestant.name, fps), []).append(turn)
        for contestant in contestants:
            cells = [
                label,
                contestant.name,
                *_flat_out(size, turns[contestant.name, None]),
                *_paced(turns[contestant.name, PACED_FPS]),
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end, {os.cpu_count()} cores")


def installed(contestants: Sequence[Contestant]) -> list[Contestant]:
    """Those whose package is there; the others are named."""
    there = [one for one in contestants if importlib.util.find_spec(one.needs)]
    for absent in sorted({one.needs for one in contestants} - {one.needs for one in there}):
        print(f"{absent} is not installed and left out")
    return there


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn")
    parser.add_argument("--size", choices=SIZES, help="of the frames; all if left out")
    options = parser.parse_args()
    sizes = {options.size: SIZES[options.size]} if options.size else SIZES
    compare(installed(CONTESTANTS), sizes, options)


if __name__ == "__main__":
    main()
