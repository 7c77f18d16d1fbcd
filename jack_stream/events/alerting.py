"""The rules' process: judges what is published, and acts on alerts; nobody waits for it.

It listens as any subscriber does and hands its alerts to the journal as inference hands events. An
alert is acted on when it comes back from the journal, so nothing is done about one that was not
kept. Before an alert is sent, it is written to the memory with its number: a process that takes
over sends it again under the same number, which the journal takes once. So each alert is given
exactly once. Actions are done at least once: again only if the process dies after an action and
before it is written down that it was done.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence

import msgspec
import structlog

from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.closing import Closing
from jack_stream.config import Config
from jack_stream.events.actions import Actions
from jack_stream.events.feed import EventFeed
from jack_stream.events.memory import Memory, recall, remember
from jack_stream.events.rules import RuleBook
from jack_stream.events.schema import Alert, AnyEvent
from jack_stream.events.subscriber import Subscription
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.tally import labelled

__all__ = ["Alerter", "run"]

_TURN_S = 0.1
_LAST_TURNS_WITHIN_S = 1.0
_AT_ONCE = 1000
_REMEMBER_EVERY_S = 2.0
_SILENT_S = 10.0
"""Beyond the length of its windows and ``gap_s`` a stream and method may be silent for so long."""
_log = structlog.get_logger()


def run(
    config: Config, *, clock: TimeSource, stop: threading.Event, health: HealthReporter
) -> None:
    """Judge until stopped; what was published until then is judged.

    Raises:
        ConfigError: an address is none.
    """
    with Alerter(config, clock) as alerter:
        while not stop.is_set():
            alerter.turn(_TURN_S)
            alerter.report(health)
        until_s = time.monotonic() + _LAST_TURNS_WITHIN_S
        while alerter.turn(_TURN_S) and time.monotonic() < until_s:
            alerter.report(health)
    health.report("stopped", alerter.counters())


class Alerter(Closing):
    """Takes events in and gives alerts out.

    Args:
        config: the whole configuration.
        clock: the time line.
    """

    def __init__(self, config: Config, clock: TimeSource) -> None:
        self._path = config.rules_memory
        self._clock = clock
        self._patience_s = max((rule.gap_s for rule in config.rules), default=0.0) + _SILENT_S
        self._counts: Counter[str] = Counter()
        self._trouble = ""
        self._remembered_s = -_REMEMBER_EVERY_S  # at once, so that a first start has a place, too
        memory = recall(self._path)
        self._session = memory.session
        self._book = RuleBook(config.rules, memory.session, memory.state)
        self._outbox = deque(memory.outbox)
        self._silent_at_s = dict.fromkeys(self._book.lanes, time.monotonic() + self._patience_s)
        self._subscription = Subscription(
            config.events.endpoint, position=memory.position, retained=False
        )
        self._feed = EventFeed(config.journal_inbox, resume=(memory.session, memory.first))
        for alert in memory.outbox:
            self._feed.publish(alert)
        self._actions = Actions(config.rules)
        for job in memory.jobs:
            self._actions.begin(job)
        self._give(self._book.settle())

    @property
    def position(self) -> str | None:
        """Up to where everything was judged; None before a journal was heard of."""
        return self._subscription.position

    def turn(self, timeout_s: float) -> bool:
        """Wait for events, judge them, and see to what is under way; False if nothing is."""
        said = self._subscription.take(timeout_s)
        came = said is not None
        alerts: list[Alert] = []
        for _ in range(_AT_ONCE):
            if said is None:
                alerts += self._silent()
                break
            alerts += self._hear(said)
            said = self._subscription.take(0)
        self._give(alerts)
        self._feed.tend()
        is_due = time.monotonic() - self._remembered_s > _REMEMBER_EVERY_S
        if self._actions.tend() or (is_due and self.position is not None):
            self._remember()
        return came or bool(self._feed.waiting or self._actions.unfinished)

    def report(self, health: HealthReporter) -> None:
        """Say how the rules fare."""
        detail = "; ".join(filter(None, [self._trouble, self._actions.trouble]))
        gauges = {"actions_waiting": float(len(self._actions.unfinished))}
        health.report("degraded" if detail else "running", self.counters(), gauges, detail)

    def counters(self) -> dict[str, int]:
        """What was judged and done, for health messages."""
        return {**self._counts, **self._actions.counters}

    def close(self) -> None:
        """Write down where things stand, and release everything."""
        self._actions.close()
        self._feed.close()
        self._remember()
        self._subscription.close()

    def _hear(self, said: AnyEvent) -> Sequence[Alert]:
        if isinstance(said, Alert):
            self._actions.act(said)
            return ()
        self._counts["events_judged"] += 1
        window_s = (said.window.end_ns - said.window.start_ns) / NS_PER_S
        silent_at_s = time.monotonic() + window_s + self._patience_s
        self._silent_at_s[said.stream, said.model.method] = silent_at_s
        return self._book.take(said)

    def _silent(self) -> list[Alert]:
        """End the alerts of streams and methods that say nothing any longer."""
        now_s = time.monotonic()
        silent = [lane for lane, at_s in self._silent_at_s.items() if at_s < now_s]
        for lane in silent:
            del self._silent_at_s[lane]
        return [alert for lane in silent for alert in self._book.lapse(*lane)]

    def _give(self, alerts: Sequence[Alert]) -> None:
        """Hand alerts to the journal, once they are written down."""
        if not alerts:
            return
        made = [
            msgspec.structs.replace(one, published_at_ns=self._clock.now_ns()) for one in alerts
        ]
        self._remember(made)
        for alert in made:
            self._feed.publish(alert)
            if alert.state == "began":
                self._counts[labelled("alerts", alert.stream, alert.rule)] += 1

    def _remember(self, made: Sequence[Alert] = ()) -> None:
        """Write down where things stand, with new alerts that are not sent yet."""
        self._remembered_s = time.monotonic()
        while len(self._outbox) > self._feed.waiting:  # the journal has confirmed them
            self._outbox.popleft()
        self._outbox += made
        memory = Memory(
            session=self._session,
            position=self.position,
            state=self._book.state,
            first=self._feed.base,
            outbox=list(self._outbox),
            jobs=self._actions.unfinished,
        )
        try:
            remember(self._path, memory)
        except OSError as error:
            if not self._trouble:
                _log.error(
                    "where the rules stand can't be written down",
                    file=str(self._path),
                    cause=error.strerror,
                )
            self._trouble = f"{self._path}: {error.strerror}"
        else:
            self._trouble = ""
