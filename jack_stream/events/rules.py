"""Rules: when what methods say amounts to an alert.

No clock and no input or output: only the events' own times count, so the same events give the same
alerts, at whatever speed they come. The time of an event is the end of its window. Each stream,
method and person is judged alone:

- The value is the sum of the labels' probabilities; smoothed, each event moves it towards its own
  sum by ``1 - exp(-dt / smoothing_s)`` of what is between them, ``dt`` since the event before.
- The condition begins to hold at a value above ``above`` and ends at one below ``until_below``.
- An alert begins when the condition has held for ``for_s`` and ``cooldown_s`` have passed since the
  end of the alert before; it ends with the condition.
- An event that is ``uncertain`` says nothing: it is as if there had been none.
- When more than ``gap_s`` lie between the last window that said something and the start of a window
  of the same stream and method, be it of somebody else, the person is gone: the alert ends
  (``gap_s`` after that last window), and if the person comes back, all begins anew.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from jack_stream.clock import NS_PER_S
from jack_stream.config.rules import RuleSettings
from jack_stream.events.schema import Alert, Event

__all__ = ["RuleBook", "State", "Track"]

_UNCERTAIN = "uncertain"


class Track(msgspec.Struct, kw_only=True):
    """How one rule stands with one person of one stream and method.

    Attributes:
        rule: the rule's name.
        labels: its labels.
        newest: the newest event that said something.
        value: smoothed sum; None if the person is gone.
        since_ns: from when on the condition has held; None if it does not.
        began: whether there is an alert.
        quiet_until_ns: before this, no alert begins.
    """

    rule: str
    labels: tuple[str, ...]
    newest: Event
    value: float | None = None
    since_ns: int | None = None
    began: bool = False
    quiet_until_ns: int = 0


class State(msgspec.Struct, kw_only=True):
    """All that a :class:`RuleBook` knows.

    Attributes:
        tracks: whoever is there or was there not long ago.
        alerts: how many alerts there were, by ``<stream>.<rule>``.
    """

    tracks: list[Track] = []
    alerts: dict[str, int] = {}


class RuleBook:
    """Judges events by rules.

    Args:
        rules: with names that differ.
        session: what the alerts have as their session.
        state: what :attr:`state` was before, to go on from there.
    """

    def __init__(
        self, rules: Iterable[RuleSettings], session: str, state: State | None = None
    ) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._session = session
        self._alerts = Counter(state.alerts if state is not None else {})
        self._lanes: dict[tuple[str, str, str], dict[int | None, Track]] = {}
        for track in state.tracks if state is not None else ():
            lane = (track.rule, track.newest.stream, track.newest.model.method)
            self._lanes.setdefault(lane, {})[track.newest.person] = track

    @property
    def state(self) -> State:
        """All that is known now; it goes on changing."""
        tracks = [track for lane in self._lanes.values() for track in lane.values()]
        return State(tracks=tracks, alerts=dict(self._alerts))

    @property
    def lanes(self) -> set[tuple[str, str]]:
        """Streams and methods of which somebody is there."""
        return {(stream, method) for (_, stream, method), lane in self._lanes.items() if lane}

    def take(self, event: Event) -> list[Alert]:
        """Judge an event; events of a stream and method come in the order of their windows."""
        alerts: list[Alert] = []
        for rule in self._rules.values():
            share = _share(rule, event)
            if share is None:
                continue
            lane = self._lanes.setdefault((rule.name, event.stream, event.model.method), {})
            alerts += self._miss(rule, lane, event)
            if event.label != _UNCERTAIN:
                track = lane.get(event.person)
                if track is None:
                    track = Track(rule=rule.name, labels=rule.labels, newest=event)
                    lane[event.person] = track
                alerts += self._weigh(rule, track, event, share)
        return alerts

    def lapse(self, stream: str, method: str) -> list[Alert]:
        """Nothing more is heard of a stream and method: whoever was there is gone."""
        alerts: list[Alert] = []
        for name, rule in self._rules.items():
            lane = self._lanes.pop((name, stream, method), {})
            for track in lane.values():
                alerts += self._leave(rule, track)
        return alerts

    def settle(self) -> list[Alert]:
        """End the alerts of rules that are there no longer, and forget those rules."""
        gone = [lane for lane in self._lanes if lane[0] not in self._rules]
        tracks = [track for lane in gone for track in self._lanes.pop(lane).values()]
        return [
            alert
            for track in tracks
            for alert in self._end(track, "removed", track.newest.window.end_ns)
        ]

    def _miss(
        self, rule: RuleSettings, lane: dict[int | None, Track], event: Event
    ) -> Iterator[Alert]:
        """Find out who is gone, now that a window has come."""
        for person, track in [*lane.items()]:
            late_ns = event.window.start_ns - track.newest.window.end_ns
            # A window from before those that have been: the machine's clock was set back.
            early_ns = track.newest.window.start_ns - event.window.end_ns
            if max(late_ns, early_ns) > rule.gap_s * NS_PER_S:
                yield from self._leave(rule, track)
                if early_ns > 0 or event.window.end_ns >= track.quiet_until_ns:
                    del lane[person]

    def _leave(self, rule: RuleSettings, track: Track) -> Iterator[Alert]:
        at_ns = track.newest.window.end_ns + round(rule.gap_s * NS_PER_S)
        yield from self._end(track, "gone", at_ns, rule.cooldown_s)
        track.value = None

    def _weigh(
        self, rule: RuleSettings, track: Track, event: Event, share: float
    ) -> Iterator[Alert]:
        """Take what an event says into account."""
        at_ns = event.window.end_ns
        since_ns = at_ns - track.newest.window.end_ns
        if track.value is None:
            track.value = share
        elif since_ns <= 0:
            return  # the same window again
        else:
            kept = math.exp(-since_ns / NS_PER_S / rule.smoothing_s) if rule.smoothing_s else 0.0
            track.value = share + (track.value - share) * kept
        track.newest = event
        if track.since_ns is None and track.value > rule.above:
            track.since_ns = at_ns
        elif track.since_ns is not None and track.value < rule.ends_below:
            yield from self._end(track, "below", at_ns, rule.cooldown_s)
        if track.since_ns is None or track.began or at_ns < track.quiet_until_ns:
            return
        if at_ns - track.since_ns >= rule.for_s * NS_PER_S:
            track.began = True
            yield self._alert(track, "began", "above", at_ns)

    def _end(
        self,
        track: Track,
        reason: Literal["below", "gone", "removed"],
        at_ns: int,
        cooldown_s: float = 0.0,
    ) -> Iterator[Alert]:
        """The condition holds no longer; neither does the alert, if there is one."""
        if track.began:
            yield self._alert(track, "ended", reason, at_ns)
            track.quiet_until_ns = at_ns + round(cooldown_s * NS_PER_S)
        track.since_ns, track.began = None, False

    def _alert(
        self,
        track: Track,
        state: Literal["began", "ended"],
        reason: Literal["above", "below", "gone", "removed"],
        at_ns: int,
    ) -> Alert:
        event = track.newest
        counted = f"{event.stream}.{track.rule}"
        seq = self._alerts[counted]
        self._alerts[counted] += 1
        return Alert(
            stream=event.stream,
            seq=seq,
            session=self._session,
            rule=track.rule,
            person=event.person,
            state=state,
            reason=reason,
            since_ns=at_ns if track.since_ns is None else track.since_ns,
            at_ns=at_ns,
            value=0.0 if track.value is None else track.value,
            labels=track.labels,
            window=event.window,
            model=event.model,
            purpose=event.purpose,
            published_at_ns=event.published_at_ns,
        )


def _share(rule: RuleSettings, event: Event) -> float | None:
    """What the rule's labels have of an event; None if the rule is not about it."""
    if rule.streams and event.stream not in rule.streams:
        return None
    if rule.methods and event.model.method not in rule.methods:
        return None
    if event.retained or not (event.model.trained or rule.untrained):
        return None
    shares = [event.probabilities[label] for label in rule.labels if label in event.probabilities]
    return min(1.0, sum(shares)) if shares else None
