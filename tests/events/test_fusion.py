"""What methods say together: from the events alone, whatever their order of coming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.clock import NS_PER_S
from jack_stream.config.streams import FusionSettings
from jack_stream.events.fusion import Fused, Fusion, Lane
from jack_stream.events.schema import Event, EventWindow
from jack_stream.events.schemes import SCHEMES, Scheme, mapping
from tests.events.making import event

_LABELS = {
    "bpm-gcn": SCHEMES["four"],
    "vaanet": SCHEMES["eight"],
    "vaanet-audio": ("neutral", "calm", "happy", "sad", "angry", "fearful", "surprised", "bored"),
    "tsl-net": ("negative", "positive"),
}
_LENGTH_S = 2.0


def _said(
    method: str, end_s: float, shares: Sequence[float], *, person: int | None = None, **fields: Any
) -> Event:
    """An event with these probabilities of the method's classes."""
    labels, total = _LABELS[method], sum(shares)
    named = {name: share / total for name, share in zip(labels, shares, strict=True)}
    best = max(named, key=lambda name: named[name])
    start_s = end_s - _LENGTH_S
    window = EventWindow(
        index=0,
        start_ns=round(start_s * NS_PER_S),
        end_ns=round(end_s * NS_PER_S),
        start_s=start_s,
        end_s=end_s,
    )
    known: dict[str, Any] = {"label": best, "confidence": named[best], "probabilities": named}
    return event(round(end_s * 10), method=method, person=person, window=window, **(known | fields))


def _chance(method: str, seed: int) -> list[float]:
    return [*map(float, np.random.default_rng(seed).dirichlet(np.ones(len(_LABELS[method]))))]


def _fusion(
    methods: Sequence[str] = tuple(_LABELS), *, patient: bool = True, **settings: Any
) -> Fusion:
    lanes = {method: Lane(NS_PER_S // 2, 1.0) for method in methods}
    return Fusion(FusionSettings(**settings), lanes, patient=patient)


def _run(fusion: Fusion, events: Sequence[Event]) -> list[Fused]:
    found: list[Fused] = []
    for (method, end_ns), said in groupby(events, lambda e: (e.model.method, e.window.end_ns)):
        found += fusion.hear(method, end_ns, said)
    found += fusion.flush()
    for one in found:
        assert sum(one.probabilities.values()) == pytest.approx(1)
        assert sum(part.weight for part in one.ingredients) == pytest.approx(1)
        assert all(sum(part.probabilities.values()) == pytest.approx(1) for part in one.ingredients)
        assert -1 <= one.valence <= 1
        assert one.delay_ms >= 1e3 * _LENGTH_S / 2 - 1e-6
    return found


def _content(one: Fused) -> tuple[Any, ...]:
    parts = [(part.method, part.seq, part.weight, part.age_ms) for part in one.ingredients]
    return one.person, one.end_ns, one.label, one.probabilities, parts, one.delay_ms, one.index


_SCHEME = st.sampled_from(sorted(SCHEMES))


@given(method=st.sampled_from(sorted(_LABELS)), scheme=_SCHEME, seed=st.integers(0, 1000))
def test_a_method_alone_is_said_as_it_is(method: str, scheme: Scheme, seed: int) -> None:
    shares = _chance(method, seed)
    (one,) = _run(_fusion([method], scheme=scheme), [_said(method, 2.0, shares)])
    classes = len(SCHEMES[scheme])
    expected = 0.98 * (np.array(shares) @ mapping(_LABELS[method], scheme)) + 0.02 / classes
    np.testing.assert_allclose([*one.probabilities.values()], expected, atol=1e-12)
    assert one.label == SCHEMES[scheme][int(np.argmax([*one.probabilities.values()]))]
    assert one.delay_ms == pytest.approx(1000), "half a window"
    (part,) = one.ingredients
    assert (part.method, part.weight, part.age_ms) == (method, 1, 0)


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(sorted(_LABELS)),
        st.integers(4, 24),
        st.sampled_from([None, 1, 2]),
        st.integers(0, 1000),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda one: one[:3],
)


def _made(rows: list[tuple[str, int, int | None, int]]) -> list[Event]:
    found = []
    for method, halves, person, seed in sorted(rows, key=lambda row: (row[1], row[0])):
        of = person if method == "bpm-gcn" else None
        found.append(_said(method, halves / 2, _chance(method, seed), person=of))
    return list({(e.model.method, e.window.end_ns, e.person): e for e in found}.values())


@given(rows=_EVENTS, order=st.randoms(use_true_random=False), scheme=_SCHEME)
def test_the_order_in_which_methods_answer_changes_nothing(
    rows: list[tuple[str, int, int | None, int]], order: Any, scheme: Scheme
) -> None:
    events = _made(rows)
    reference = [_content(one) for one in _run(_fusion(scheme=scheme), events)]
    queues = [[e for e in events if e.model.method == method] for method in _LABELS]
    mixed = []
    while any(queues):
        queue = order.choice([queue for queue in queues if queue])
        end_ns = queue[0].window.end_ns
        mixed += [e for e in queue if e.window.end_ns == end_ns]  # a window's events come together
        queue[:] = [e for e in queue if e.window.end_ns > end_ns]
    assert [_content(one) for one in _run(_fusion(scheme=scheme), mixed)] == reference
    ends = [one[1] for one in reference]
    assert ends == sorted(ends)


@given(seeds=st.lists(st.integers(0, 1000), min_size=3, max_size=3), scheme=_SCHEME)
def test_pooling_is_the_weighted_geometric_mean(seeds: list[int], scheme: Scheme) -> None:
    methods = ["bpm-gcn", "vaanet", "vaanet-audio"]
    events = [_said(m, 2.0, _chance(m, s)) for m, s in zip(methods, seeds, strict=True)]
    weights = {"bpm-gcn": 1.0, "vaanet": 2.0, "vaanet-audio": 5.0}
    (one,) = _run(_fusion(methods, scheme=scheme, weights=weights), events)
    assert [part.weight for part in one.ingredients] == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    rows = np.array([[*part.probabilities.values()] for part in one.ingredients])
    mean = np.prod(rows ** np.array([[1 / 8], [2 / 8], [5 / 8]]), axis=0)
    np.testing.assert_allclose([*one.probabilities.values()], mean / mean.sum())


def test_what_is_old_fades_and_is_forgotten() -> None:
    fusion = _fusion(["bpm-gcn", "vaanet-audio"], half_life_s=2.0, smoothing_s=0)
    voice = _said("vaanet-audio", 2.0, [0, 0, 1, 0, 0, 0, 0, 0])
    walks = [_said("bpm-gcn", 2.0 + n, [0, 1, 0, 0]) for n in range(10)]
    found = _run(fusion, [voice, *walks])
    weights = [
        {part.method: part.weight for part in one.ingredients}.get("vaanet-audio", 0)
        for one in found
    ]
    assert weights[:3] == pytest.approx([1 / 2, 0.5**0.5 / (1 + 0.5**0.5), 1 / 3])
    assert weights[8] > 0 == weights[9], "four half-lives"
    happy = [one.probabilities["positive"] for one in found]
    assert happy == sorted(happy, reverse=True)


def test_smoothing_takes_its_time_and_says_how_much() -> None:
    fusion = _fusion(["bpm-gcn"], smoothing_s=2.0)
    steps = [_said("bpm-gcn", 2.0 + n, [1, 0, 0, 0] if n < 3 else [0, 1, 0, 0]) for n in range(40)]
    found = _run(fusion, steps)
    glad = [one.probabilities["positive"] for one in found]
    assert glad[:3] == pytest.approx([glad[0]] * 3)
    low = found[-1].probabilities["positive"]
    for n in range(3, 8):
        assert glad[n] - low == pytest.approx((glad[0] - low) * math.exp(-(n - 2) / 2), abs=1e-6)
    lag_ms = 1e3 / math.expm1(1 / 2)  # of an exponential average at steps of a second
    assert found[-1].delay_ms == pytest.approx(1000 + lag_ms, abs=1)


@pytest.mark.parametrize("asked", [False, True])
def test_chance_counts_only_if_asked_for(asked: bool) -> None:
    fusion = _fusion(["bpm-gcn", "vaanet"], untrained=asked)
    noise = _said("vaanet", 2.0, _chance("vaanet", 1))
    model = event(method="vaanet", trained=False).model
    (one,) = _run(
        fusion,
        [_said("bpm-gcn", 2.0, [1, 0, 0, 0]), msgspec.structs.replace(noise, model=model)],
    )
    assert len(one.ingredients) == 1 + asked


def test_an_unsure_method_counts_little_and_one_that_saw_nothing_not_at_all() -> None:
    fusion = _fusion(["bpm-gcn", "vaanet", "tsl-net"])
    unsure = _said("vaanet", 2.0, _chance("vaanet", 1), label="uncertain")
    blind = _said("tsl-net", 2.0, [1, 0], support=0.0)
    sure = _said("bpm-gcn", 2.0, [1, 0, 0, 0], support=0.5)
    (one,) = _run(fusion, [unsure, blind, sure])
    shares = {part.method: part.weight for part in one.ingredients}
    assert shares == pytest.approx({"bpm-gcn": 2 / 3, "tsl-net": 0, "vaanet": 1 / 3})
    assert one.label == "positive"
    (alone,) = _run(_fusion(["vaanet"]), [unsure])
    assert alone.label == "uncertain"


def test_what_is_said_of_the_scene_counts_for_everybody_there() -> None:
    fusion = _fusion(["bpm-gcn", "vaanet-audio"], smoothing_s=0)
    voice = [0, 0, 0, 1, 0, 0, 0, 0]
    found = _run(
        fusion,
        [
            _said("vaanet-audio", 2.0, voice),
            _said("bpm-gcn", 3.0, [1, 0, 0, 0], person=1),
            _said("bpm-gcn", 3.0, [0, 0, 0, 1], person=2),
            _said("vaanet-audio", 4.0, voice),
            _said("bpm-gcn", 4.5, [1, 0, 0, 0], person=2),
        ],
    )
    told = [(one.end_ns // (NS_PER_S // 2), one.person, len(one.ingredients)) for one in found]
    assert told == [(4, None, 1), (6, 1, 2), (6, 2, 2), (8, 1, 2), (8, 2, 2), (9, 2, 2)]
    assert found[1].probabilities != found[2].probabilities
    assert [one.index for one in found] == [0, 1, 1, 2, 2, 3]
    assert [one.start_ns for one in found] == [
        0, 2 * NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S, 3 * NS_PER_S, 4 * NS_PER_S,
    ]  # fmt: skip


def test_who_has_left_is_spoken_of_no_more() -> None:
    fusion = _fusion(["bpm-gcn", "vaanet-audio"], half_life_s=2.0)
    voices = [_said("vaanet-audio", 3.0 + n, _chance("vaanet-audio", n)) for n in range(8)]
    found = _run(fusion, [_said("bpm-gcn", 2.5, [1, 0, 0, 0], person=7), *voices])
    told = [(one.end_ns / NS_PER_S, one.person) for one in found]
    assert told == [(2.5, 7), (3.0, 7), (4.0, 7), *((5.0 + n, None) for n in range(6))]


def test_an_instant_waits_only_for_those_who_may_still_speak_of_it() -> None:
    lanes = {"bpm-gcn": Lane(NS_PER_S // 2, 1.0), "vaanet": Lane(2 * NS_PER_S, 1.0)}
    fusion = Fusion(FusionSettings(patience_s=3), lanes, patient=False)

    def walk(end_s: float) -> list[float]:
        said = _said("bpm-gcn", end_s, [1, 0, 0, 0])
        return [one.end_ns / NS_PER_S for one in fusion.hear("bpm-gcn", said.window.end_ns, [said])]

    def film(end_s: float) -> list[float]:
        said = _said("vaanet", end_s, _chance("vaanet", 0))
        return [one.end_ns / NS_PER_S for one in fusion.hear("vaanet", said.window.end_ns, [said])]

    assert walk(2.0) == [], "the film has not been heard of"
    assert film(2.0) == [2.0]
    assert walk(2.5) == [2.5]
    assert walk(3.5) == [3.5], "the film speaks every two seconds"
    assert walk(4.0) == []
    assert walk(4.5) == []
    assert film(4.0) == [4.0, 4.5]
    assert [walk(5.0 + n / 2) for n in range(2)] == [[5.0], [5.5]]
    assert [walk(6.0 + n / 2) for n in range(7)] == [[]] * 7
    assert walk(9.5) == [6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5], "patience is over"
    assert walk(10.0) == [10.0]
    assert film(6.0) == [], "too late for an event of its own"


def test_a_clock_that_is_set_back_begins_anew() -> None:
    fusion = _fusion(["bpm-gcn"])
    late = _said("bpm-gcn", 5000.0, [1, 0, 0, 0])
    early = _said("bpm-gcn", 10.0, [0, 1, 0, 0])
    found = _run(fusion, [late, early])
    assert [one.label for one in found] == ["positive", "negative"]


def test_others_methods_are_passed_over() -> None:
    said = _said("vaanet", 2.0, _chance("vaanet", 1))
    assert _run(_fusion(["bpm-gcn"]), [said]) == []
