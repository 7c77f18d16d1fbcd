"""Rules: alerts begin and end when they should, and follow from the events' own times alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.clock import NS_PER_S
from jack_stream.config.rules import RuleSettings
from jack_stream.events.rules import RuleBook, State
from jack_stream.events.schema import Alert, Event
from tests.events.making import event


def _rule(**fields: Any) -> RuleSettings:
    known = {"name": "unhappy", "labels": ["sad", "angry"], "above": 0.7, "until_below": 0.5}
    return RuleSettings.model_validate(known | fields)


def _at(end_s: float, sad: float | None, **fields: Any) -> Event:
    """An event of a window of two seconds; None says ``uncertain``."""
    share = 0.9 if sad is None else sad
    shares = {"happy": 1 - share, "sad": share * 0.75, "angry": share * 0.25}
    label = "uncertain" if sad is None else "sad"
    return event(start_s=end_s - 2, label=label, probabilities=shares, **fields)


def _judge(rule: RuleSettings, events: Iterable[Event]) -> list[Alert]:
    book = RuleBook([rule], "cafe")
    return [alert for one in events for alert in book.take(one)]


def _said(alerts: Iterable[Alert]) -> list[tuple[str, str, float, float]]:
    return [(a.state, a.reason, a.since_ns / NS_PER_S, a.at_ns / NS_PER_S) for a in alerts]


def _course(*values: float | None, step_s: float = 1.0, begin_s: float = 100.0) -> list[Event]:
    return [_at(begin_s + i * step_s, value) for i, value in enumerate(values)]


def test_labels_are_added_up_and_an_alert_says_what_it_rests_on() -> None:
    (alert,) = _judge(_rule(), [_at(100, 0.8, person=7, purpose="research")])
    assert (alert.rule, alert.stream, alert.person) == ("unhappy", "door", 7)
    assert (alert.state, alert.labels) == ("began", ("sad", "angry"))
    assert alert.value == pytest.approx(0.8)
    assert alert.model == _at(100, 0.8).model
    assert alert.window == _at(100, 0.8).window
    assert (alert.purpose, alert.session, alert.seq) == ("research", "cafe", 0)


def test_it_must_be_above_for_long_enough_and_ends_well_below() -> None:
    events = _course(0.6, 0.71, 0.6, 0.51, 0.9, 0.9, 0.5, 0.49, 0.9)
    assert _said(_judge(_rule(for_s=3), events)) == [
        ("began", "above", 101, 104),  # what was between the two bounds did not interrupt it
        ("ended", "below", 101, 107),
    ]


def test_a_dip_begins_the_duration_anew() -> None:
    events = _course(0.9, 0.9, 0.4, 0.9, 0.9, 0.9)
    assert _said(_judge(_rule(for_s=2), events)) == [("began", "above", 103, 105)]


def test_after_an_alert_there_is_quiet_for_a_while_and_then_it_may_begin_at_once() -> None:
    events = _course(0.9, 0.4, 0.9, 0.9, 0.9, 0.9, 0.4)
    assert _said(_judge(_rule(cooldown_s=3), events)) == [
        ("began", "above", 100, 100),
        ("ended", "below", 100, 101),
        ("began", "above", 102, 104),
        ("ended", "below", 102, 106),
    ]


def test_smoothing_is_an_exponential_average_over_the_events_times() -> None:
    values, times = [0.1, 0.9, 0.9, 0.9, 0.9], [100, 101, 101.5, 104, 104.25]
    expected = values[0]
    for i in range(1, 5):
        keep = math.exp(-(times[i] - times[i - 1]) / 2)
        expected = keep * expected + (1 - keep) * values[i]
        if expected > 0.7:
            break
    events = [_at(t, v) for t, v in zip(times, values, strict=True)]
    (alert,) = _judge(_rule(smoothing_s=2), events)
    assert alert.at_ns == round(times[i] * NS_PER_S)
    assert alert.value == pytest.approx(expected)


def test_who_is_in_no_window_for_too_long_is_gone() -> None:
    gap = [_at(100, 0.9), _at(107, 0.9), _at(114.1, 0.9)]  # windows are two seconds long
    assert _said(_judge(_rule(gap_s=5), gap)) == [
        ("began", "above", 100, 100),
        ("ended", "gone", 100, 112),
        ("began", "above", 114.1, 114.1),
    ]


def test_others_show_that_somebody_is_gone_and_other_methods_do_not() -> None:
    events = [_at(100, 0.9, person=1), _at(109, 0.1, person=2, method="vaanet")]
    assert len(_judge(_rule(), events)) == 1
    events.append(_at(109, 0.1, person=2))
    assert _said(_judge(_rule(gap_s=5), events))[1:] == [("ended", "gone", 100, 105)]


def test_silence_ends_what_there_is_at_the_same_time_as_an_event_would() -> None:
    book = RuleBook([_rule(gap_s=5)], "cafe")
    book.take(_at(100, 0.9))
    assert book.lanes == {("door", "bpm-gcn")}
    assert book.lapse("hall", "bpm-gcn") == []
    assert _said(book.lapse("door", "bpm-gcn")) == [("ended", "gone", 100, 105)]
    assert book.lanes == set()
    assert _said(book.take(_at(106, 0.9))) == [("began", "above", 106, 106)]


def test_what_is_uncertain_is_as_if_it_were_not_there() -> None:
    assert _said(_judge(_rule(for_s=4), _course(0.9, None, None, 0.1, None))) == []
    assert _said(_judge(_rule(for_s=3), _course(0.9, None, None, 0.9))) == [
        ("began", "above", 100, 103)
    ]
    only_at_first = _course(0.9, *[None] * 9)
    assert _said(_judge(_rule(gap_s=5), only_at_first))[1:] == [("ended", "gone", 100, 105)]


def test_quiet_outlives_a_leave() -> None:
    events = [_at(100, 0.9), _at(110, 0.9), _at(115, 0.9), _at(121, 0.9)]
    assert _said(_judge(_rule(gap_s=5, cooldown_s=15), events)) == [
        ("began", "above", 100, 100),
        ("ended", "gone", 100, 105),
        ("began", "above", 110, 121),
    ]


def test_a_clock_that_was_set_back_begins_anew_and_the_same_window_again_changes_nothing() -> None:
    events = [_at(100, 0.9), _at(100, 0.1), _at(99, 0.1), _at(50, 0.9)]
    assert _said(_judge(_rule(cooldown_s=1000), events)) == [
        ("began", "above", 100, 100),
        ("ended", "gone", 100, 105),
        ("began", "above", 50, 50),
    ]


@pytest.mark.parametrize(
    "fields", [{"streams": ["hall"]}, {"methods": ["vaanet"]}, {"labels": ["fear"]}]
)
def test_a_rule_is_about_its_own_streams_methods_and_labels(fields: dict[str, Any]) -> None:
    book = RuleBook([_rule(**fields)], "cafe")
    assert book.take(_at(100, 0.9)) == []
    shares = {"fear": 0.8, "sad": 0.8}
    assert len(book.take(event(stream="hall", method="vaanet", probabilities=shares))) == 1


def test_noise_alerts_nobody_unless_it_is_asked_for() -> None:
    noise = _at(100, 0.9, trained=False)
    assert _judge(_rule(), [noise]) == []
    (alert,) = _judge(_rule(untrained=True), [noise])
    assert not alert.model.trained


def test_a_rule_that_was_removed_ends_its_alerts() -> None:
    book = RuleBook([_rule(), _rule(name="other")], "cafe")
    book.take(_at(100, 0.9))
    after = RuleBook([_rule(name="other")], "cafe", book.state)
    assert [(a.rule, *_said([a])[0]) for a in after.settle()] == [
        ("unhappy", "ended", "removed", 100, 100)
    ]
    assert after.settle() == []
    assert _said(after.take(_at(101, 0.1))) == [("ended", "below", 100, 101)]


_RULES = st.builds(
    lambda above, step, for_s, smoothing_s, cooldown_s, gap_s: _rule(
        above=above, until_below=above - step, for_s=for_s, smoothing_s=smoothing_s,
        cooldown_s=cooldown_s, gap_s=gap_s,
    ),
    st.sampled_from([0.5, 0.7]), st.sampled_from([0.0, 0.2]), st.sampled_from([0.0, 2.0, 5.0]),
    st.sampled_from([0.0, 3.0]), st.sampled_from([0.0, 4.0]), st.sampled_from([1.0, 6.0]),
)  # fmt: skip
_SHARES = st.one_of(st.none(), st.sampled_from([0.1, 0.4, 0.55, 0.65, 0.75, 0.95]))


@st.composite
def _streams(draw: st.DrawFn) -> list[Event]:
    """Two streams after or beside each other, up to three people in each."""
    events: list[Event] = []
    for stream in ("door", "hall"):
        end_s = 100.0
        for step_s in draw(st.lists(st.sampled_from([0.5, 1.0, 1.0, 2.0, 4.5, 9.0]), max_size=20)):
            end_s += step_s
            people = draw(st.sets(st.integers(1, 3), max_size=3))
            events += [_at(end_s, draw(_SHARES), stream=stream, person=one) for one in people]
    if draw(st.booleans()):
        return events
    pairs = itertools.zip_longest(*(_of(events, name) for name in ("door", "hall")))
    return [one for pair in pairs for one in pair if one is not None]


def _of(events: Iterable[Event], stream: str) -> list[Event]:
    return [one for one in events if one.stream == stream]


@given(_RULES, _streams())
def test_alerts_alternate_and_hold_what_their_rule_says(
    rule: RuleSettings, events: list[Event]
) -> None:
    by_whom: dict[tuple[str, int | None], list[Alert]] = {}
    counted: dict[str, list[int]] = {}
    for alert in _judge(rule, events):
        by_whom.setdefault((alert.stream, alert.person), []).append(alert)
        counted.setdefault(alert.stream, []).append(alert.seq)
    assert all(seqs == list(range(len(seqs))) for seqs in counted.values())
    for (stream, person), alerts in by_whom.items():
        about = [e for e in events if (e.stream, e.person) == (stream, person)]
        for i, alert in enumerate(alerts):
            assert alert.state == ("ended" if i % 2 else "began")
            if alert.state == "began":
                assert alert.value >= rule.ends_below
                assert alert.at_ns - alert.since_ns >= rule.for_s * NS_PER_S
                if i:
                    assert alert.at_ns - alerts[i - 1].at_ns >= rule.cooldown_s * NS_PER_S
                held = [
                    e for e in about
                    if alert.since_ns <= e.window.end_ns <= alert.at_ns and e.label != "uncertain"
                ]  # fmt: skip
                assert held[0].window.end_ns == alert.since_ns
                if not rule.smoothing_s:
                    shares = [1 - e.probabilities["happy"] for e in held]
                    assert shares[0] > rule.above
                    assert min(shares) >= rule.ends_below - 1e-9
                for one, other in itertools.pairwise(held):
                    apart_ns = other.window.start_ns - one.window.end_ns
                    assert apart_ns <= rule.gap_s * NS_PER_S
            else:
                assert alert.since_ns == alerts[i - 1].since_ns
                assert alert.reason == "gone" or alert.value < rule.ends_below


@given(_RULES, _streams())
def test_no_alert_is_left_out(rule: RuleSettings, events: list[Event]) -> None:
    """For one person without smoothing and quiet, told in another way: by the stretches."""
    rule = rule.model_copy(update={"smoothing_s": 0.0, "cooldown_s": 0.0})
    about = [e for e in events if e.stream == "door" and e.person == 1]
    expected: list[int] = []
    on_since, last, began = None, None, False
    for one in about:
        if last is not None and (one.window.start_ns - last) / NS_PER_S > rule.gap_s:
            on_since, began = None, False
        if one.label == "uncertain":
            continue
        last = one.window.end_ns
        share = one.probabilities["sad"] + one.probabilities["angry"]
        if on_since is not None and share < rule.ends_below:
            on_since, began = None, False
        elif on_since is None and share > rule.above:
            on_since = last
        if on_since is not None and not began and last - on_since >= rule.for_s * NS_PER_S:
            began = True
            expected.append(last)
    assert [a.at_ns for a in _judge(rule, about) if a.state == "began"] == expected


@given(_RULES, _streams(), st.integers(0, 100))
def test_the_state_may_be_written_down_and_read_back_at_any_time(
    rule: RuleSettings, events: list[Event], cut: int
) -> None:
    cut = min(cut, len(events))
    book = RuleBook([rule], "cafe")
    alerts = [alert for one in events[:cut] for alert in book.take(one)]
    written = msgspec.json.encode(book.state)
    book = RuleBook([rule], "cafe", msgspec.json.decode(written, type=State))
    alerts += [alert for one in events[cut:] for alert in book.take(one)]
    assert alerts == _judge(rule, events)


@given(_RULES, _streams())
def test_streams_do_not_touch_each_other(rule: RuleSettings, events: list[Event]) -> None:
    together = _judge(rule, events)
    for stream in ("door", "hall"):
        alone = _judge(rule, _of(events, stream))
        assert [a for a in together if a.stream == stream] == alone


@given(_RULES, _streams())
def test_who_is_gone_for_long_is_forgotten(rule: RuleSettings, events: list[Event]) -> None:
    book = RuleBook([rule], "cafe")
    for one in [*events, _at(1000, 0.1), _at(1000, 0.1, stream="hall")]:
        book.take(one)
    assert len(book.state.tracks) <= 2
