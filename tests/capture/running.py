"""A capture process's function in a thread, with a receiver at its other end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jack_stream.clock import Clock
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import End, Message
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver


@dataclass
class Running:
    """What a test sees of a capture process."""

    receiver: Receiver
    health: HealthReporter
    stop: threading.Event
    thread: threading.Thread
    endpoint: str
    errors: list[BaseException] = field(default_factory=list)

    def get(self, kind: type[Message], timeout_s: float = 10.0) -> Any:
        """The next message of a kind; fails if none comes in time."""
        return self.until(lambda m: isinstance(m, kind), timeout_s)

    def until(self, wanted: Callable[[Message], bool], timeout_s: float = 10.0) -> Message:
        """The next message that is wanted; others are skipped."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            message = self.receiver.get(min(left, 0.2))
            if message is not None and wanted(message):
                return message
            if self.errors:
                raise self.errors[0]
        raise AssertionError(f"no such message in {timeout_s} s; health: {self.health.last}")

    def until_state(self, state: str, timeout_s: float = 10.0) -> Any:
        """The first health report with a state."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            last = self.health.last
            if last is not None and last.state == state:
                return last
            self.receiver.get(0.02)
        raise AssertionError(f"not {state} in {timeout_s} s; health: {self.health.last}")

    def all(self, timeout_s: float = 30.0) -> list[Any]:
        """Every message up to the end, which is the last one."""
        messages: list[Any] = []
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            message = self.receiver.get(0.1)
            if message is not None:
                messages.append(message)
                if isinstance(message, End):
                    return messages
            elif self.errors:
                raise self.errors[0]
        raise AssertionError(f"no end in {timeout_s} s after {len(messages)} messages")

    def finish(self, within_s: float) -> float:
        """Set stop, and see that the function returns in time; how long it took."""
        began = time.monotonic()
        self.stop.set()
        self.thread.join(within_s)
        assert not self.thread.is_alive(), f"still running {within_s} s after stop"
        return time.monotonic() - began


@contextmanager
def running(
    run: Callable[..., None],
    settings: Any,
    tmp_path: Path,
    *,
    policy: Policy = Policy.LOSSLESS,
    stream: str = "test",
) -> Iterator[Running]:
    """Run a capture process's function until the block ends; its error is raised by the methods."""
    clock = Clock()
    endpoint = f"ipc://{tmp_path}/{stream}.ipc"
    with (
        Publisher(endpoint, stream, policy=policy, clock=clock, wait_for=1) as publisher,
        HealthReporter(f"test.{stream}", stream, clock=clock, period_s=0.05) as health,
        Receiver([endpoint], {"frame", "audio", "pose", "end"}, policy=policy) as receiver,
    ):
        stop = threading.Event()
        errors: list[BaseException] = []

        def target() -> None:
            try:
                run(settings, publisher, clock=clock, stop=stop, health=health)
            except BaseException as error:  # noqa: BLE001 (the test's thread raises it)
                errors.append(error)

        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        try:
            yield Running(receiver, health, stop, thread, endpoint, errors)
        finally:
            stop.set()
            publisher.close()
            thread.join(5)
