"""A million hostile wire messages: does anything crash, hang, or grow?

    python -m tests.faults.fuzz_wire [--messages 1000000] [--through-sockets 200000]
        [--through-gate 50000] [--seed 1]

First into the decoder; then through a real socket into a receiver, the intake and the windows of a
gait analyzer (its network answers a constant); then through CURVE into the gate, besides noise on
its port. Messages are made of good ones; what leads to an outcome not seen before is kept and
changed further. Every few thousand messages a good one must still get through.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import zmq

from jack_stream import log
from jack_stream.clock import Clock
from jack_stream.config import AnalyzerSettings, parse
from jack_stream.errors import WireError
from jack_stream.inference.analyzer import Look
from jack_stream.inference.gait import GaitAnalyzer
from jack_stream.inference.intake import Intake
from jack_stream.inference.queue import WindowQueue
from jack_stream.inference.scheduler import Scheduler
from jack_stream.service.gate import Gate
from jack_stream.window.spec import WindowSpec
from jack_stream.wire import keys
from jack_stream.wire.access import Access, Link
from jack_stream.wire.codec import decode, encode
from jack_stream.wire.messages import Frame, Stamp
from jack_stream.wire.policy import Policy
from jack_stream.wire.receiver import Receiver
from tests.faults.mutate import Mutator, outcome

HANG_S = 10
WARM = 20_000
EVERY = 2_000
PATIENCE_S = 60.0
KINDS = ("frame", "audio", "pose", "end")


@dataclass
class Found:
    """What one phase did."""

    name: str
    messages: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    resident_mib: list[float] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)


def resident_mib() -> float:
    """Memory that this process has."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmRSS")


def fuzz_decoder(count: int, seed: int) -> Found:
    """Decode messages; anything but a :class:`WireError` or a message is a bug and is raised."""
    mutator, found = Mutator(seed), Found("decoder")
    began_s = time.monotonic()
    good = 0
    for number in range(count):
        if number in (WARM, count - 1) or number % max(1, count // 4) == 0:
            found.resident_mib.append(round(resident_mib(), 1))
        parts = mutator.make()
        error: WireError | None = None
        signal.alarm(HANG_S)
        at_s = time.perf_counter()
        try:
            decode(parts)
            good += 1
        except WireError as caught:
            error = caught
        except BaseException:
            print(
                f"seed {seed}, message {number}: {[p[:200].hex() for p in parts]}", file=sys.stderr
            )
            raise
        found.slowest_ms = max(found.slowest_ms, (time.perf_counter() - at_s) * 1e3)
        mutator.learn(parts, outcome(error, parts))
    signal.alarm(0)
    found.messages, found.seconds = count, time.monotonic() - began_s
    found.notes = {"well_formed": good, "different_outcomes": len(mutator.outcomes)}
    return found


class _Constant:
    """A model that says the same of everything, and refuses what is not a number."""

    method, labels, origin, trained = "bpm-gcn", ("a", "b"), None, False

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert all(np.isfinite(value).all() for value in inputs.values())
        return {"logits": np.zeros((len(next(iter(inputs.values()))), 2), np.float32)}


class _Looker:
    """Waits for all three modalities and looks at none."""

    model = _Constant()
    spec = WindowSpec(10**9, 10**9, ("frame", "audio", "pose"), 10**9)
    view = None

    def shrink(self, frame: Frame) -> Frame:
        return frame

    def look(self, window: Any) -> Look:
        assert window.end_ns > window.start_ns
        yield from ()
        return []

    def examples(self) -> Iterator[Any]:
        return iter(())


class System:
    """A receiver, its intake and someone who takes the windows, as in the inference process."""

    def __init__(self, endpoint: str) -> None:
        self.windows = 0
        self.errors: list[BaseException] = []
        settings = AnalyzerSettings(method="bpm-gcn")
        self.analyzers: list[Any] = [GaitAnalyzer(_Constant(), settings), _Looker()]  # type: ignore[arg-type]
        self.receiver = Receiver([endpoint], set(KINDS))
        queue = WindowQueue(Policy.LIVE)
        self._scheduler = Scheduler(queue, Clock())
        # Ever so many publishers: the stream is never over, however many ends come.
        self.intake = Intake(
            self.receiver, {"door": self.analyzers}, {"door": 10**9}, queue, Clock()
        )
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(f,)) for f in (self._take, self._look)
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def _guard(self, run: Any) -> None:
        try:
            run()
        except BaseException as error:
            self.errors.append(error)
            raise

    def _take(self) -> None:
        self.intake.run(self._stop)

    def _look(self) -> None:
        while not self._stop.is_set():
            batch = self._scheduler.next(0.05)
            for task in batch.tasks if batch is not None else ():
                if isinstance(task.outcome, Exception):
                    raise task.outcome
                self.windows += 1

    def close(self) -> None:
        self._stop.set()
        self.receiver.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)


def fuzz_system(count: int, seed: int, folder: Path) -> Found:
    """Send messages through a socket into a running system; good ones must keep coming through."""
    mutator, found = Mutator(seed), Found("receiver, intake, windows")
    endpoint = f"ipc://{folder}/fuzz"
    sender = zmq.Context.instance().socket(zmq.XPUB)
    sender.setsockopt(zmq.XPUB_NODROP, 1)
    sender.setsockopt(zmq.SNDTIMEO, int(PATIENCE_S * 1000))
    sender.bind(endpoint)
    system = System(endpoint)
    try:
        for _ in range(len(KINDS) + 1):
            assert sender.poll(PATIENCE_S * 1000), "the receiver does not subscribe"
            sender.recv()
        began_s = time.monotonic()
        expected = 0
        for number in range(count):
            if number in (min(WARM, count // 4), count - 1) or number % max(1, count // 4) == 0:
                found.resident_mib.append(round(resident_mib(), 1))
            parts = mutator.make()
            expected += parts[0].startswith(tuple(f"{kind}.".encode() for kind in KINDS))
            sender.send_multipart(parts)
            mutator.learn(parts, _outcome(parts))
            if number % EVERY == EVERY - 1 or number == count - 1:
                expected += 1
                sender.send_multipart(encode(_good(number)))
                at_s = time.monotonic()
                while system.receiver.received < expected or system.receiver.waiting():
                    assert not system.errors, system.errors
                    assert time.monotonic() - at_s < PATIENCE_S, "the receiver or the intake hangs"
                    time.sleep(0.001)
                found.slowest_ms = max(found.slowest_ms, (time.monotonic() - at_s) * 1e3)
                while sender.poll(0):
                    sender.recv()
        assert system.receiver.received == expected
        found.messages, found.seconds = count, time.monotonic() - began_s
        found.notes = {
            **system.receiver.counters(),
            **system.intake.counters(),
            "taken": system.windows,
        }
    finally:
        system.close()
        sender.close(linger=0)
    assert not system.errors, system.errors
    return found


def fuzz_gate(count: int, seed: int, folder: Path) -> Found:
    """Send messages with a key that may publish into a gate, and noise to its port besides."""
    mutator, found = Mutator(seed), Found("gate, CURVE")
    for name in ("gate", "door"):
        keys.create(folder / "keys", name)
    keys.allow(folder / "keys", folder / "keys" / "door.key", "publish")
    table = {
        "runtime": {"directory": str(folder)},
        "gate": {"keys": str(folder / "keys"), "captures": "tcp://127.0.0.1:*"},
        "streams": [{"name": "door", "remote": {"key": "door", "kinds": list(KINDS[:3])}}],
    }
    config = parse(table, "a test")
    access = Access.of(folder / "keys" / "door.key_secret", folder / "keys" / "gate.key")
    with (
        Gate(config, Clock()) as gate,
        _turning(gate),
        Receiver([config.capture_endpoint("door", "remote")], {"frame"}) as receiver,
        contextlib.closing(zmq.Context.instance().socket(zmq.XPUB)) as sender,
    ):
        sender.setsockopt(zmq.XPUB_NODROP, 1)
        sender.setsockopt(zmq.SNDTIMEO, int(PATIENCE_S * 1000))
        sender.linger = 0
        link = Link(sender, gate.endpoints["captures"], access)
        _comes_through(sender, receiver, count, found)  # what is sent before is not subscribed to
        found.slowest_ms = 0.0
        began_s = time.monotonic()
        for number in range(count):
            if number in (min(WARM, count // 4), count - 1) or number % max(1, count // 4) == 0:
                found.resident_mib.append(round(resident_mib(), 1))
            if number % 100 == 0:
                _noise(mutator, gate.endpoints["captures"])
            parts = mutator.make()
            sender.send_multipart(parts)
            mutator.learn(parts, _outcome(parts))
            if number % EVERY == EVERY - 1 or number == count - 1:
                _comes_through(sender, receiver, number, found)
        link.close()
        found.messages, found.seconds = count, time.monotonic() - began_s
        found.notes = {**gate.counters(), "noisy_connections": count // 100}
    return found


def _comes_through(sender: Any, receiver: Receiver, number: int, found: Found) -> None:
    """Send a good frame until it comes out behind the gate."""
    at_s = time.monotonic()
    while True:
        sender.send_multipart(encode(_good(number)))
        message = receiver.get(0.05)
        while message is not None and message.stamp.session != f"good-{number}":
            message = receiver.get(0)
        if message is not None:
            break
        assert time.monotonic() - at_s < PATIENCE_S, "the gate hangs"
        while sender.poll(0):
            sender.recv()
    found.slowest_ms = max(found.slowest_ms, (time.monotonic() - at_s) * 1e3)


def _noise(mutator: Mutator, endpoint: str) -> None:
    """A connection that speaks no ZMTP, or only its beginning."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    greeting = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE" + bytes(15) + b"\0" + bytes(31)
    data = greeting[: mutator.random.randint(0, 64)] + mutator.random.randbytes(
        mutator.random.choice((0, 10, 300, 70_000))
    )
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5) as line:
        line.sendall(data)


@contextlib.contextmanager
def _turning(gate: Gate) -> Iterator[None]:
    stop = threading.Event()

    def turn() -> None:
        while not stop.is_set():
            gate.turn(20)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _outcome(parts: list[bytes]) -> str:
    try:
        decode(parts)
    except WireError as error:
        return outcome(error, parts)
    return outcome(None, parts)


def _good(number: int) -> Frame:
    stamp = Stamp("door", number, time.time_ns(), f"good-{number}")
    return Frame(stamp, np.zeros((2, 2, 3), np.uint8), (2, 2))


def report(found: Found) -> None:
    """Print what a phase did as one line of JSON."""
    print(json.dumps(vars(found)), flush=True)


def main() -> None:
    """Run all phases and print what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--through-sockets", type=int, default=200_000)
    parser.add_argument("--through-gate", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()

    def hang(_: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"a message took more than {HANG_S} s")

    signal.signal(signal.SIGALRM, hang)
    log.set_up(quiet=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        decoder = asked.messages - asked.through_sockets - asked.through_gate
        report(fuzz_decoder(decoder, asked.seed))
        report(fuzz_system(asked.through_sockets, asked.seed + 1, folder))
        report(fuzz_gate(asked.through_gate, asked.seed + 2, folder))


if __name__ == "__main__":
    main()
