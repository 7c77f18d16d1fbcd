"""A process of its own that sends or holds pictures until it is killed.

python -m tests.wire.lending_process send|hold ENDPOINT
"""

import sys
import threading
from collections import deque
from pathlib import Path

import numpy as np

from jack_stream.clock import Clock
from jack_stream.wire.messages import Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver


def send(endpoint: str) -> None:
    """Send pictures of one value each, which grows."""
    with Publisher(
        endpoint, "door", policy=Policy.LOSSLESS, clock=Clock(), wait_for=1
    ) as publisher:
        publisher.wait_for_receivers(threading.Event())
        for number in range(1_000_000):
            publisher.frame(np.full((64, 64, 3), number % 256, np.uint8), number)


def mapped() -> int:
    """How many senders' memories this process looks into."""
    return Path("/proc/self/maps").read_text().count("memfd:jack-stream")


def hold(endpoint: str) -> None:
    """Take pictures, keep 24 of them that are lent, as far as there are slots, and say so."""
    with Receiver([endpoint], {"frame"}, policy=Policy.LOSSLESS) as receiver:

        def picture() -> Frame:
            message = receiver.get(10)
            assert isinstance(message, Frame)
            return message

        while not mapped():
            picture()
        # What was on the way before then is not lent yet.
        held = deque((picture() for _ in range(200)), maxlen=24)
        assert len(held) == 24
        sys.stdout.write("holding\n")
        sys.stdout.flush()
        while receiver.get(60) is not None:
            pass


if __name__ == "__main__":
    {"send": send, "hold": hold}[sys.argv[1]](sys.argv[2])
