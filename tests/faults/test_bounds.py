"""Whatever senders and readers do, memory stays within bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zmq

from jack_stream.clock import Clock
from jack_stream.events.publisher import EventPublisher
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver
from tests.events.making import event

PAUSE = threading.Event()  # never set: a wait that nothing ends early


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/it"


def _resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def _await(holds: Callable[[], bool], meanwhile: Callable[[], object] = lambda: None) -> None:
    for _ in range(2000):
        if holds():
            return
        meanwhile()
        PAUSE.wait(0.005)
    raise AssertionError("it did not happen within ten seconds")


def test_a_reader_that_stops_reading_costs_its_queue_and_no_more(endpoint: str) -> None:
    """A camera far beyond 240 pictures a second: 460 MB go through, 8 MB may wait."""
    image = np.zeros((240, 320, 3), np.uint8)
    with (
        Publisher(endpoint, "door", policy=Policy.LIVE, clock=Clock()) as camera,
        Receiver([endpoint], {"frame"}, capacity={"frame": 32}) as stuck,
    ):
        _await(lambda: stuck.received > 0, lambda: camera.frame(image, 1))
        before = _resident_mib()
        for number in range(2000):
            camera.frame(image, number + 2)
        camera.frame(image, 9999)
        _await(lambda: stuck.dropped["superseded"] > 0)
        assert _resident_mib() - before < 150  # two sockets' high-water marks, and the queue
        waiting = 0
        while stuck.get(0.2) is not None:
            waiting += 1
        assert waiting <= 32 + 128  # the queue, and what the sockets still held
        assert stuck.received == stuck.used + sum(stuck.dropped.values())


def test_a_subscriber_that_stops_reading_does_not_hold_the_others_up(endpoint: str) -> None:
    context = zmq.Context.instance()
    with EventPublisher(endpoint) as publisher:
        stuck, reading = context.socket(zmq.SUB), context.socket(zmq.SUB)
        stuck.setsockopt(zmq.RCVHWM, 10)
        for one in (stuck, reading):
            one.setsockopt(zmq.LINGER, 0)
            one.subscribe("event.")
            one.connect(endpoint)
        _await(lambda: bool(reading.poll(0)), lambda: publisher.publish(event()))
        _await(lambda: bool(stuck.poll(0)), lambda: publisher.publish(event()))
        while reading.poll(100):
            reading.recv_multipart()
        before = _resident_mib()
        read = 0
        for number in range(30_000):
            publisher.publish(event(number))
            while reading.poll(0):
                reading.recv_multipart()
                read += 1
        while reading.poll(500):
            reading.recv_multipart()
            read += 1
        assert read == 30_000
        assert _resident_mib() - before < 60
        stuck.close()
        reading.close()
