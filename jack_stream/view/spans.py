"""Alerts as stretches: what began and what ended it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jack_stream.clock import NS_PER_S
from jack_stream.events.schema import Alert
from jack_stream.view.groups import Who

__all__ = ["Span", "about", "media_s", "spans"]


@dataclass(frozen=True)
class Span:
    """An alert from its beginning to its end.

    Attributes:
        began: the alert that began.
        who: of whom it is.
        start_s: when, in seconds of the medium.
        end_s: when it was over; None if it went on to the end.
    """

    began: Alert
    who: Who
    start_s: float
    end_s: float | None


def spans(alerts: Sequence[Alert]) -> list[Span]:
    """Beginnings with their ends, in the order of the beginnings."""
    ends = {_key(one): media_s(one) for one in alerts if one.state == "ended"}
    return [
        Span(one, about(one), media_s(one), ends.get(_key(one)))
        for one in sorted(alerts, key=lambda alert: alert.at_ns)
        if one.state == "began"
    ]


def about(alert: Alert) -> Who:
    """The stream, method and person that an alert is about."""
    return Who(alert.stream, alert.model.method, alert.person)


def media_s(alert: Alert) -> float:
    """When it began or ended, in seconds of the medium."""
    return alert.window.end_s + (alert.at_ns - alert.window.end_ns) / NS_PER_S


def _key(alert: Alert) -> tuple[str, str, Who, int]:
    return alert.session, alert.rule, about(alert), alert.since_ns
