"""The journal's process: keeps what inference and rules say, and only then publishes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog
import zmq

from jack_stream import trace
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.closing import Closing
from jack_stream.config import Config
from jack_stream.errors import JournalCorruptError, JournalError
from jack_stream.events.announcer import Announcer
from jack_stream.events.feed import FeedInlet
from jack_stream.events.journal import Journal, set_aside
from jack_stream.events.replay import ReplayServer
from jack_stream.events.schema import AnyEvent, encode
from jack_stream.wire.health import HealthReporter

__all__ = ["Keeper", "run"]

_TURN_MS = 100
_QUIET_MS = 100
_TRY_AGAIN_S = 5.0
_TRIAL_S = 30.0
_PRUNE_EVERY_S = 1.0
_SAID_FOR_S = 600.0
_DAY_NS = 24 * 3600 * NS_PER_S
_log = structlog.get_logger()


def run(
    config: Config, *, clock: TimeSource, stop: threading.Event, health: HealthReporter
) -> None:
    """Keep and publish until stopped; what has come until then is published.

    Raises:
        ConfigError: an address can't be bound, or the file is another's or a newer release's.
    """
    with Keeper(config, clock) as keeper:
        while not stop.is_set():
            keeper.turn(_TURN_MS)
            keeper.report(health)
        while keeper.turn(_QUIET_MS):
            keeper.report(health)
        health.report("stopped", keeper.counters())


class Keeper(Closing):
    """Takes events in, writes them down and publishes them, in this order.

    While the journal can't be written, events are published all the same, without a position; it
    is tried again every five seconds. A damaged file is set aside and a new one begun.

    Args:
        config: the whole configuration.
        clock: the time line.

    Raises:
        ConfigError: as for :func:`run`.

    Attributes:
        journal: None while there is none that can be opened.
        trouble: why nothing is kept now; empty if everything is.
    """

    def __init__(self, config: Config, clock: TimeSource) -> None:
        self.journal: Journal | None = None
        self.trouble = ""
        self._settings = config.journal
        self._path = config.journal_path
        self._rules = {rule.name for rule in config.rules}
        self._clock = clock
        self._set_aside = ("", 0.0)
        self._counts = {"events_journalled": 0, "events_not_journalled": 0, "events_published": 0}
        self._counts |= {"events_pruned": 0, "journals_set_aside": 0}
        self._commit_ms = 0.0
        self._try_at_s = 0.0
        self._trial_until_s = 0.0
        self._prune_at_s = 0.0
        self._open()
        self._announcer = Announcer(config.events.endpoint)
        self._inlet = FeedInlet(config.journal_inbox, self._fed)
        self._replay = ReplayServer(config.replay_endpoint, self._path)

    def turn(self, timeout_ms: int) -> bool:
        """Wait for events, keep and publish them; False if none came."""
        poller = zmq.Poller()
        poller.register(self._inlet.socket, zmq.POLLIN)
        poller.register(self._announcer.socket, zmq.POLLIN)
        poller.poll(timeout_ms)
        events = self._inlet.take()
        if events:
            with trace.span("journal", "keep events", events=len(events)):
                kept = self._kept(events)
            with trace.span("journal", "announce events", events=len(events)):
                for parts in kept:
                    self._announcer.publish(parts)
        self._counts["events_published"] += len(events)
        self._inlet.confirm()
        journal = self.journal
        name, head = (None, 0) if journal is None else (journal.name, journal.head)
        self._announcer.announce(name, head, self._replay.endpoint)
        self._tend()
        return bool(events)

    def report(self, health: HealthReporter) -> None:
        """Say how the journal fares."""
        journal, (aside, until_s) = self.journal, self._set_aside
        gauges = {"commit_ms": self._commit_ms}
        if journal is not None:
            try:
                gauges["size_mb"] = journal.size_bytes() / 1e6
            except JournalError as error:
                self._fail(error)
            gauges["kept"] = float(journal.head - journal.first + 1)
        if self.trouble:
            detail = f"journal: {self.trouble}; events are published and not kept"
            health.report("degraded", self.counters(), gauges, detail)
        elif time.monotonic() < until_s:
            health.report("degraded", self.counters(), gauges, f"journal: {aside}")
        else:
            health.report("running", self.counters(), gauges)

    def counters(self) -> dict[str, int]:
        """What became of the events and requests, for health messages."""
        return self._counts | self._inlet.counters | self._replay.counters

    def close(self) -> None:
        """Send what is queued and release everything."""
        self._replay.close()
        self._inlet.close()
        self._announcer.close()
        if self.journal is not None:
            self.journal.close()

    def _kept(self, events: Sequence[AnyEvent]) -> list[list[bytes]]:
        """The events as they are to be published, journalled if that is possible."""
        for _ in range(2):  # once more in a new file if this one turns out to be damaged
            if self.journal is None or (self.trouble and not self._trial_until_s):
                break
            began_s = time.monotonic()
            try:
                parts = self.journal.keep(events, self._inlet.taken)
            except JournalError as error:
                self._fail(error)
                continue
            self._commit_ms = (time.monotonic() - began_s) * 1e3
            self._counts["events_journalled"] += len(events)
            self._recover()
            return parts
        self._counts["events_not_journalled"] += len(events)
        return [encode(event) for event in events]

    def _tend(self) -> None:
        now_s = time.monotonic()
        if self._trial_until_s and now_s >= self._trial_until_s:
            self._recover()
        elif self.trouble and not self._trial_until_s and now_s >= self._try_at_s:
            self._open()
        elif not self.trouble and now_s >= self._prune_at_s:
            self._prune(now_s)

    def _prune(self, now_s: float) -> None:
        if self.journal is None:
            return
        if not self.journal.is_in_place():
            _log.error(
                "the journal's file was removed; a new one is begun", journal=str(self._path)
            )
            self._open()
            return
        try:
            gone = self.journal.prune(
                older_than_ns=self._clock.now_ns() - round(self._settings.max_age_days * _DAY_NS),
                max_bytes=round(self._settings.max_size_mb * 1e6),
            )
        except JournalError as error:
            self._fail(error)
            return
        self._counts["events_pruned"] += gone
        if gone == 0:
            self._prune_at_s = now_s + _PRUNE_EVERY_S

    def _fail(self, error: JournalError) -> None:
        """Deal with a journal that could not be written or read."""
        if isinstance(error, JournalCorruptError):
            self._open(error)
        else:
            self._note(error)

    def _open(self, damage: JournalCorruptError | None = None) -> None:
        """Open the journal anew; one that is damaged is set aside first."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None
        try:
            if damage is None:
                try:
                    self.journal = Journal(self._path)
                except JournalCorruptError as error:
                    damage = error
            if damage is not None:
                self._put_aside(damage)
                self.journal = Journal(self._path)
            if self.journal is not None:
                self.journal.forget_alerts(self._rules)
        except JournalError as error:
            self._note(error)
            return
        if self.trouble:  # a disk that has room for this may have none for the next events
            self._trial_until_s = time.monotonic() + _TRIAL_S

    def _recover(self) -> None:
        """Note that events are kept, or would be if any came."""
        if self.trouble:
            _log.warning("events are kept again", journal=str(self._path))
        self.trouble, self._trial_until_s = "", 0.0

    def _put_aside(self, error: JournalCorruptError) -> None:
        aside = set_aside(self._path)
        said = f"a damaged file was set aside as {aside}, and a new one begun"
        self._set_aside = said, time.monotonic() + _SAID_FOR_S
        self._counts["journals_set_aside"] += 1
        _log.error(said, cause=str(error))

    def _note(self, error: JournalError) -> None:
        cause = str(error)
        if cause != self.trouble:
            _log.error("events are published and not kept", cause=cause)
        self.trouble, self._trial_until_s = cause, 0.0
        self._try_at_s = time.monotonic() + _TRY_AGAIN_S

    def _fed(self, session: str) -> int:
        if self.journal is None:
            return -1
        try:
            return self.journal.fed(session)
        except JournalError as error:
            self._fail(error)
            return -1
