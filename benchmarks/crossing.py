"""How should pictures cross from one process to another? And what do views of them save?

    python -m benchmarks.crossing [--rounds 3] [--seconds 2] [--views]

The first table compares pictures that the reader looks at in the sender's memory, of which only
descriptors are sent, with pictures whose bytes go through the socket, from and to buffers that
Python does not copy (as they do to readers from elsewhere). The processes are otherwise the same.

With --views: a network that looks at 112 or 224 pixels of a camera's picture. The sender makes it
small, as it is now, or the reader does; next to imagezmq, whose reader has to.

As in benchmarks/transport.py: as fast as they go, then at 30 frames per second, in turns. CPU is
user and system time; MB are the camera's.
"""

from __future__ import annotations

import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from benchmarks.transport import (
    ELSEWHERE,
    Contestant,
    MonotonicClock,
    Read,
    Reader,
    Size,
    compare,
    installed,
    noise,
    paces,
    read_imagezmq,
    read_ours,
    send_imagezmq,
    send_ours,
)
from jack_stream.features.views import VIEWS
from jack_stream.wire.codec import KIND_OF_VIEW
from jack_stream.wire.messages import Frame, View
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver

SIZES = {"640x480": (480, 640), "1280x720": (720, 1280), "1920x1080": (1080, 1920)}
CAMERAS = {"1280x720": (720, 1280)}
SIDES: tuple[View, ...] = ("112", "224")

CROSSINGS = (
    Contestant("in the sender's memory", "ipc", send_ours, read_ours),
    Contestant("bytes over ipc", "ipc", send_ours, partial(read_ours, access=ELSEWHERE)),
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
def _read_views(endpoint: str, *, view: View) -> Iterator[Reader]:
    with Receiver([endpoint], {KIND_OF_VIEW[view]}, policy=Policy.LOSSLESS) as receiver:

        def read() -> Read:
            message = receiver.get(30)
            if not isinstance(message, Frame):
                raise TimeoutError(f"no view from {endpoint} in 30 s")
            return Read(message.stamp.captured_at_ns, message.image)

        yield read


@contextmanager
def _read_and_shrink(
    endpoint: str, *, reader: Callable[[str], AbstractContextManager[Reader]], view: View
) -> Iterator[Reader]:
    with reader(endpoint) as read_whole:

        def read() -> Read:
            captured_at_ns, image = read_whole()
            return Read(captured_at_ns, VIEWS[view](image))

        yield read


def _ways(view: View) -> Iterator[Contestant]:
    """How a network gets at its view of a camera's pictures."""
    yield Contestant(
        f"JACK Stream, {view} made by the sender",
        "ipc",
        _send_views,
        partial(_read_views, view=view),
    )
    for name, send, reader, needs in (
        ("JACK Stream", send_ours, read_ours, "zmq"),
        ("imagezmq, REQ/REP", send_imagezmq, read_imagezmq, "imagezmq"),
    ):
        shrinks = partial(_read_and_shrink, reader=reader, view=view)
        yield Contestant(f"{name}, {view} made by the reader", "ipc", send, shrinks, needs)


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn")
    parser.add_argument("--views", action="store_true", help="what views save")
    options = parser.parse_args()
    if options.views:
        compare(installed([way for view in SIDES for way in _ways(view)]), CAMERAS, options)
    else:
        compare(CROSSINGS, SIZES, options)


if __name__ == "__main__":
    main()
