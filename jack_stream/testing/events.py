"""Collects the events that something publishes, to assert on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import overload

from jack_stream.events.schema import Event
from jack_stream.events.subscriber import DEFAULT_ENDPOINT, Subscription

__all__ = ["EventCapture", "capture_events"]

_POLL_S = 0.05


class EventCapture(Sequence[Event]):
    """The events that have come so far; a sequence that grows while it is open."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect, name="capture_events", daemon=True)
        self._thread.start()

    def wait_until(
        self, holds: Callable[[Sequence[Event]], bool], timeout_s: float = 10.0
    ) -> list[Event]:
        """Wait until something holds for the events so far.

        Args:
            holds: asked whenever an event has come, and once at the start.
            timeout_s: for how long to wait.

        Returns:
            the events so far.

        Raises:
            TimeoutError: it did not come to hold; the message says which events came.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self._events), timeout_s):
                came = [f"{e.stream}/{e.model.method} #{e.seq}" for e in self._events]
                raise TimeoutError(f"after {timeout_s} s only these events had come: {came}")
            return list(self._events)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        with self._changed:
            return self._events[index]

    def __len__(self) -> int:
        with self._changed:
            return len(self._events)

    def close(self) -> None:
        """Stop collecting; what came stays readable."""
        self._stop.set()
        self._thread.join()

    def _collect(self) -> None:
        with self._subscription as subscription:
            while not self._stop.is_set():
                event = subscription.next(_POLL_S)
                if event is not None:
                    with self._changed:
                        self._events.append(event)
                        self._changed.notify_all()


@contextmanager
def capture_events(
    endpoint: str = DEFAULT_ENDPOINT, *, stream: str | None = None, method: str | None = None
) -> Iterator[EventCapture]:
    """Collect events while the block runs.

    Enter the block before the publisher starts: what was published before is not collected.

        with capture_events("tcp://127.0.0.1:5577") as events:
            start_the_pipeline()
            events.wait_until(lambda seen: len(seen) >= 3, timeout_s=30)
        assert events[0].model.trained is False

    Args:
        endpoint: where the events are published.
        stream: only this stream's.
        method: only this method's.
    """
    captured = EventCapture(Subscription(endpoint, stream=stream, method=method, retained=False))
    try:
        yield captured
    finally:
        captured.close()
