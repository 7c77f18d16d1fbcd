"""Reading a source that may hang, without ever hanging with it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Literal, TypeAlias

import structlog
from typing_extensions import Self

from jack_stream.capture.reconnect import Backoff
from jack_stream.capture.samples import Sample, after_gap
from jack_stream.closing import Closing
from jack_stream.errors import JackError, SourceLostError

__all__ = ["ReaderState", "SourceReader"]

ReaderState: TypeAlias = Literal["opening", "reading", "lost", "ended"]
_MAX_RECORDED = 16  # that wait before a file is read no further
_MAX_LIVE = 128  # that wait before the oldest is dropped; only a hanging process gets there
_JOIN_S = 0.3
_log = structlog.get_logger()


class SourceReader(Closing):
    """Opens and reads a source in a thread of its own, and opens it again when it is lost.

    Recorded media (samples with an origin) are read no faster than they are taken; of live
    sources the newest is kept and what is dropped counted (``dropped_overflow``). The thread is a
    daemon: :meth:`close` doesn't wait for a source that hangs in a driver or on the network.

    Args:
        samples: opens the source and yields from it until its end. Raising
            :class:`SourceLostError` means that trying again may help; any other
            :class:`JackError` ends reading and is raised by :meth:`get`.
        backoff: how long to wait before trying again.
        counters: where losses are counted (``reconnects``).

    Attributes:
        state: what the thread is doing.
        detail: why the source was lost, or an empty string.
    """

    def __init__(
        self,
        samples: Callable[[], Generator[Sample, None, None]],
        *,
        backoff: Backoff,
        counters: Counter[str],
    ) -> None:
        self.state: ReaderState = "opening"
        self.detail = ""
        self._samples = samples
        self._backoff = backoff
        self._counters = counters
        self._waiting: deque[Sample] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._error: JackError | None = None
        self._thread = threading.Thread(target=self._run, name="source reader", daemon=True)

    def get(self, timeout_s: float) -> Sample | None:
        """The next sample, or None if none came for so long or the source has ended.

        Raises:
            JackError: what ended the source, after the last sample was handed out.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.state == "ended", timeout_s)
            if self._waiting:
                self._changed.notify_all()
                return self._waiting.popleft()
            if self._error is not None:
                raise self._error
            return None

    @property
    def exhausted(self) -> bool:
        """Whether the source has ended and everything was handed out."""
        with self._changed:
            return self.state == "ended" and not self._waiting

    def close(self) -> None:
        """Stop reading; a thread that hangs is left behind."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    self._read()
                except SourceLostError as lost:  # noqa: PERF203 (a retry waits anyway)
                    self._wait_to_retry(lost)
                else:
                    return
        except JackError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 (the taking thread must hear of it)
            self._error = JackError(f"reading the source failed: {type(error).__name__}: {error}")
            _log.exception("reading the source failed")
        finally:
            self._set("ended", "")

    def _read(self) -> None:
        resumed = self._counters["reconnects"] > 0
        with closing(self._samples()) as samples:
            for sample in after_gap(samples) if resumed else samples:
                if self.state != "reading":
                    self._set("reading", "")
                    self._backoff.reset()
                if not self._put(sample):
                    return

    def _put(self, sample: Sample) -> bool:
        with self._changed:
            if sample.origin_ns:
                self._changed.wait_for(
                    lambda: self._closed.is_set() or len(self._waiting) < _MAX_RECORDED
                )
            elif len(self._waiting) >= _MAX_LIVE:
                self._waiting.popleft()
                self._counters["dropped_overflow"] += 1
            self._waiting.append(sample)
            self._changed.notify_all()
        return not self._closed.is_set()

    def _wait_to_retry(self, lost: SourceLostError) -> None:
        if self._closed.is_set():
            return
        self._counters["reconnects"] += 1
        wait_s = self._backoff.next_s()
        self._set("lost", str(lost))
        _log.warning("source lost", cause=str(lost), retry_in_s=round(wait_s, 2))
        self._closed.wait(wait_s)

    def _set(self, state: ReaderState, detail: str) -> None:
        with self._changed:
            self.state, self.detail = state, detail
            self._changed.notify_all()
