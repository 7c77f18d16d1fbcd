"""What several methods say of the same person, as one distribution over one scheme.

No clock and no input or output: only the events' own times count, so the same events give the same
result in whatever order the methods' answers come. Times are those of windows: an event's instant
is the end of its window. At each instant at which a method said something:

- Each method's newest event counts, said in the scheme (:mod:`jack_stream.events.schemes`); two
  hundredths of it are spread over all classes, so that no method has a veto.
- Its weight is the configured one, times the method's quality, times the event's support, a quarter
  of that if it is ``uncertain``, halved with every half-life that has passed since its instant.
  After four half-lives it is forgotten. Weights are divided by their sum.
- The distributions are pooled by weighted geometric mean, divided by its sum: the logarithmic
  opinion pool (Genest and Zidek, "Combining probability distributions", Statistical Science 1,
  1986), which commutes with the updating of all by the same evidence.
- The result before moves towards that by ``1 - exp(-dt / smoothing_s)`` of what is between them.

What a method says of the scene counts for everybody who is there, which is of whom something was
said in the last half-life, or in the last two hops of who says such things; for the scene itself
while nobody is. What it says of a person counts for that person alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.config.streams import FusionSettings
from jack_stream.events.schema import Event, Ingredient
from jack_stream.events.schemes import SCHEMES, mapping, valence_of

__all__ = ["UNCERTAIN", "Fused", "Fusion", "Lane"]

UNCERTAIN = "uncertain"
_SHARED = 0.02
_ABSTAINED = 0.25
_HALF_LIVES = 4
_LONG_S = 600  # methods do not run so far ahead of each other; one without a source never comes
_NS_PER_MS = 1e6


class Lane(NamedTuple):
    """One method of a stream.

    Attributes:
        hop_ns: the least time from one of its windows to the next.
        quality: how much it is worth by what was measured, 0 to 1.
    """

    hop_ns: int
    quality: float


@dataclass(frozen=True, slots=True)
class Fused:
    """What all methods together say at one instant.

    Attributes:
        person: of whom; None for the scene.
        index: counts the instants of the stream.
        start_ns: the instant before; not before the windows that ended now.
        end_ns: the instant.
        label: the most probable class, or ``uncertain`` if that is what all methods say.
        probabilities: class of the scheme -> probability, smoothed; they add up to 1.
        valence: how pleasant that is, -1 to 1.
        delay_ms: how old, on average, what it rests on was at the instant: half the windows'
            lengths, the ages of older events, and what smoothing adds.
        ingredients: what was pooled now, by method.
        events: the events that they come from, in the same order.
    """

    person: int | None
    index: int
    start_ns: int
    end_ns: int
    label: str
    probabilities: dict[str, float]
    valence: float
    delay_ms: float
    ingredients: tuple[Ingredient, ...]
    events: tuple[Event, ...]


class _Smoothed(NamedTuple):
    at_ns: int
    shares: NDArray[np.float64]
    age_ns: float


class Fusion:
    """Fuses what the methods of one stream say.

    An instant is judged once no method can say anything earlier any more: each method's windows
    come in order, a hop apart. Nobody waits for a method that the others are ahead of by more than
    the patience.

    Args:
        settings: of the stream.
        lanes: method -> what is known of it; methods that are not in it are passed over.
        patient: whether the patience is ten minutes, whatever the settings say.
    """

    def __init__(
        self, settings: FusionSettings, lanes: Mapping[str, Lane], *, patient: bool
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._patience_ns = (_LONG_S if patient else settings.patience_s) * NS_PER_S
        self._half_life_ns = settings.half_life_s * NS_PER_S
        self._classes = SCHEMES[settings.scheme]
        self._tables: dict[tuple[str, ...], NDArray[np.float64]] = {}
        self._index = -1
        self._begin()

    def _begin(self) -> None:
        self._done: dict[str, int] = {}
        self._first_ns = 0  # of what was done
        self._pending: list[Event] = []
        self._newest: dict[tuple[str, int | None], Event] = {}
        self._smoothed: dict[int | None, _Smoothed] = {}
        self._at_ns: int | None = None

    def hear(self, method: str, end_ns: int, events: Iterable[Event] = ()) -> list[Fused]:
        """A method is done with a window.

        Args:
            method: which.
            end_ns: the end of the window; a method's windows come in order.
            events: what it said of it, perhaps nothing.

        Returns:
            What can be said now, in the order of instants, persons ascending.
        """
        if method not in self._lanes:
            return []
        over = []
        if end_ns < self._done.get(method, end_ns):  # the machine's clock was set back
            over = self.flush()
            self._begin()
        if not self._done:
            self._first_ns = end_ns
        self._done[method] = end_ns
        self._pending += [
            event for event in events if event.model.trained or self._settings.untrained
        ]
        return over + self._judge(self._limit_ns())

    def flush(self) -> list[Fused]:
        """Nothing more will come: what can be said of the rest."""
        return self._judge(math.inf)

    def _limit_ns(self) -> float:
        """No method that is waited for can say anything of this instant or before any more."""
        newest_ns, limit_ns = max(self._done.values()), math.inf
        for method, lane in self._lanes.items():
            since_ns = next_ns = self._done.get(method, -math.inf) + lane.hop_ns
            if method not in self._done:
                since_ns = self._first_ns
            if newest_ns - since_ns <= self._patience_ns:
                limit_ns = min(limit_ns, next_ns - 1)
        return limit_ns

    def _judge(self, limit_ns: float) -> list[Fused]:
        ready = sorted((e for e in self._pending if _end(e) <= limit_ns), key=_order)
        self._pending = [e for e in self._pending if _end(e) > limit_ns]
        found: list[Fused] = []
        for end_ns, group in groupby(ready, key=_end):
            found += self._step(end_ns, [*group])
        return found

    def _step(self, at_ns: int, events: list[Event]) -> Iterator[Fused]:
        for event in events:
            self._newest[event.model.method, event.person] = event
        if self._at_ns is not None and at_ns <= self._at_ns:
            return  # its method was not waited for: it counts from the next instant on
        horizon_ns = at_ns - _HALF_LIVES * self._half_life_ns
        self._newest = {key: e for key, e in self._newest.items() if _end(e) >= horizon_ns}
        self._smoothed = {p: s for p, s in self._smoothed.items() if s.at_ns >= horizon_ns}
        spoken_of = {event.person for event in events}
        start_ns = max(self._at_ns or 0, min(event.window.start_ns for event in events))
        self._at_ns = at_ns
        self._index += 1
        if None in spoken_of:
            spoken_of = self._there(at_ns) or {None}
        for person in sorted(spoken_of, key=lambda one: -1 if one is None else one):
            yield from self._fuse(person, start_ns, at_ns)

    def _there(self, at_ns: int) -> set[int | None]:
        """Of whom a method has said something not long ago."""
        return {
            person
            for (method, person), event in self._newest.items()
            if person is not None
            and at_ns - _end(event) <= max(self._half_life_ns, 2 * self._lanes[method].hop_ns)
        }

    def _fuse(self, person: int | None, start_ns: int, at_ns: int) -> Iterator[Fused]:
        events = sorted(
            (e for (_, of), e in self._newest.items() if of in (None, person)), key=_order_of_method
        )
        weights = np.array([self._weight(event, at_ns) for event in events])
        if not weights.sum() > 0:
            return
        weights /= weights.sum()
        said = np.array([self._said(event) for event in events])
        pooled = np.exp(weights @ np.log(said))
        pooled /= pooled.sum()
        age_ns = float(weights @ [at_ns - (e.window.start_ns + _end(e)) / 2 for e in events])
        shares, age_ns = self._smooth(person, at_ns, pooled, age_ns)
        best = int(shares.argmax())
        abstained = all(event.label == UNCERTAIN for event in events)
        yield Fused(
            person=person,
            index=self._index,
            start_ns=start_ns,
            end_ns=at_ns,
            label=UNCERTAIN if abstained else self._classes[best],
            probabilities=dict(zip(self._classes, shares.tolist(), strict=True)),
            valence=self._valence(shares),
            delay_ms=age_ns / _NS_PER_MS,
            ingredients=tuple(
                Ingredient(
                    method=event.model.method,
                    seq=event.seq,
                    person=event.person,
                    weight=float(weight),
                    age_ms=(at_ns - _end(event)) / _NS_PER_MS,
                    probabilities=dict(zip(self._classes, row.tolist(), strict=True)),
                )
                for event, weight, row in zip(events, weights, said, strict=True)
            ),
            events=tuple(events),
        )

    def _weight(self, event: Event, at_ns: int) -> float:
        method = event.model.method
        wanted = self._settings.weights.get(method, 1.0) * self._lanes[method].quality
        sure = _ABSTAINED if event.label == UNCERTAIN else 1.0
        halved = math.pow(0.5, (at_ns - _end(event)) / self._half_life_ns)
        return wanted * event.support * sure * halved

    def _said(self, event: Event) -> NDArray[np.float64]:
        labels = tuple(event.probabilities)
        if labels not in self._tables:
            table = mapping(labels, self._settings.scheme)
            self._tables[labels] = (1 - _SHARED) * table + _SHARED / len(self._classes)
        shares = np.array([*event.probabilities.values()])
        return np.asarray(shares / shares.sum() @ self._tables[labels], np.float64)

    def _smooth(
        self, person: int | None, at_ns: int, pooled: NDArray[np.float64], age_ns: float
    ) -> tuple[NDArray[np.float64], float]:
        before, constant_ns = self._smoothed.get(person), self._settings.smoothing_s * NS_PER_S
        if before is not None and constant_ns:
            passed_ns = at_ns - before.at_ns
            kept = math.exp(-passed_ns / constant_ns)
            pooled = pooled + (before.shares - pooled) * kept
            age_ns += (before.age_ns + passed_ns - age_ns) * kept
        self._smoothed[person] = _Smoothed(at_ns, pooled, age_ns)
        return pooled, age_ns

    def _valence(self, shares: NDArray[np.float64]) -> float:
        if self._settings.scheme == "valence":
            return float(shares[1] - shares[0])
        return float(shares @ valence_of(self._classes))


def _end(event: Event) -> int:
    return event.window.end_ns


def _order(event: Event) -> tuple[int, str, int, int]:
    return _end(event), *_order_of_method(event)


def _order_of_method(event: Event) -> tuple[str, int, int]:
    return event.model.method, -1 if event.person is None else event.person, event.seq
