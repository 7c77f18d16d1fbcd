"""A picture of the events over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jack_stream.events.schema import Alert, Event, EventSegment, EventWindow
from jack_stream.view.groups import by_whom
from jack_stream.view.spans import about, media_s

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_timeline", "save_timeline"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999")
"""Okabe and Ito's palette, which colour-blind people can tell apart."""
_STYLES = ("-", "--", ":")
"""For more classes than colours."""
_DEVICES_S = 1e8
"""Files count from their begin; devices' seconds are those of the clock, and much more."""
_NS_PER_DAY = 86400e9
"""Matplotlib counts days since 1970."""
_GAP = 1.5
"""In hops: a window further from the one before was not its neighbour."""


def save_timeline(
    events: Sequence[Event], path: Path, *, alerts: Sequence[Alert] = (), clock: bool = False
) -> None:
    """Draw a timeline into a PNG, SVG or PDF file; see `draw_timeline`.

    Args:
        events: at least one, in any order.
        path: where to; the folder must exist.
        alerts: as for `draw_timeline`.
        clock: likewise.

    Raises:
        ValueError: there are no events.
    """
    draw_timeline(events, alerts=alerts, clock=clock).savefig(path, dpi=120)


def draw_timeline(
    events: Sequence[Event], *, alerts: Sequence[Alert] = (), clock: bool = False
) -> Figure:
    """The probabilities of each stream, method and person over time; segments as shaded stretches.

    Args:
        events: at least one, in any order.
        alerts: are marked where they began and ended, beside what they speak of.
        clock: the axis has local times of day; else seconds from the file's begin, or for devices
            from the first window.

    Raises:
        ValueError: there are no events.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    if not events:
        raise ValueError("a timeline needs at least one event")
    groups = by_whom(events)
    figure = Figure(figsize=(10, 2.2 * len(groups) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    scale = _Scale(events, clock=clock)
    for axis, (who, found) in zip(axes, groups.items(), strict=True):
        axis.set_title(f"{who.stream}: {who.method}, {who.name}", loc="left", fontsize=10)
        _draw(axis, found, scale)
        _mark_alerts(axis, [one for one in alerts if about(one) == who], scale)
    if clock:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

        zone = datetime.now().astimezone().tzinfo
        locator = AutoDateLocator(tz=zone)
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    axes[-1].set_xlabel(scale.title)
    return figure


class _Scale:
    """Where on the axis an instant stands."""

    def __init__(self, events: Sequence[Event], *, clock: bool) -> None:
        first_s = min(event.window.start_s for event in events)
        self._clock = clock
        self._start_s = 0.0 if first_s < _DEVICES_S else first_s
        what = "local time" if clock else "seconds"
        self.title = f"{what} (middle of the window)"

    def __call__(self, at_ns: float, at_s: float) -> float:
        return at_ns / _NS_PER_DAY if self._clock else at_s - self._start_s

    def bounds(self, stretch: EventWindow | EventSegment) -> tuple[float, float]:
        return self(stretch.start_ns, stretch.start_s), self(stretch.end_ns, stretch.end_s)

    def middle(self, window: EventWindow) -> float:
        return sum(self.bounds(window)) / 2


def _draw(axis: Any, found: Sequence[Event], scale: _Scale) -> None:
    classes = list(dict.fromkeys(name for event in found for name in event.probabilities))
    colours = dict(zip(classes, _COLOURS * 8, strict=False))
    times, rows = _with_gaps(found, classes, scale)
    for column, (name, colour) in enumerate(colours.items()):
        shares = [row[column] for row in rows]
        style = _STYLES[column // len(_COLOURS) % len(_STYLES)]
        axis.plot(times, shares, style, marker=".", color=colour, label=name)
    for segment in {one for event in found for one in event.segments}:
        colour = colours.get(segment.label, "grey")
        axis.axvspan(*scale.bounds(segment), color=colour, alpha=0.15, linewidth=0)
    axis.set_ylim(0, 1)
    axis.set_ylabel("probability")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    _mark_untrained(axis, found, scale)


def _mark_untrained(axis: Any, found: Sequence[Event], scale: _Scale) -> None:
    """Across the panel; where only a part of it is noise, that part is hatched as well."""
    stretches = [list(run) for trained, run in groupby(found, _is_trained) if not trained]
    if not stretches:
        return
    text = "UNTRAINED: NOISE"
    if len(stretches[0]) < len(found):
        text += " where hatched"
        for run in stretches:
            bounds = scale.bounds(run[0].window)[0], scale.bounds(run[-1].window)[1]
            axis.axvspan(*bounds, facecolor="none", edgecolor="red", alpha=0.35, hatch="//")
    axis.text(
        0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center",
        fontsize=24, color="red", alpha=0.35, weight="bold",
    )  # fmt: skip


def _mark_alerts(axis: Any, alerts: Sequence[Alert], scale: _Scale) -> None:
    """A line with the rule's name where an alert began, a dotted one where it ended."""
    for alert in alerts:
        at = scale(alert.at_ns, media_s(alert))
        began = alert.state == "began"
        axis.axvline(at, color="black", linewidth=1.5, linestyle="-" if began else ":")
        if began:
            axis.annotate(
                f" alert: {alert.rule}", (at, 0.97), va="top", fontsize=9, weight="bold",
                bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
            )  # fmt: skip


def _is_trained(event: Event) -> bool:
    return event.model.trained


def _with_gaps(
    events: Sequence[Event], classes: Sequence[str], scale: _Scale
) -> tuple[list[float], list[list[float]]]:
    """Times and probabilities, broken where no prediction was made in between."""
    hops = [b.window.start_ns - a.window.start_ns for a, b in pairwise(events)]
    hop = min((one for one in hops if one > 0), default=0)
    times: list[float] = []
    rows: list[list[float]] = []
    for event, since in zip(events, [0, *hops], strict=True):
        middle = scale.middle(event.window)
        if since > _GAP * hop:
            times.append(middle)
            rows.append([math.nan] * len(classes))
        times.append(middle)
        rows.append([event.probabilities.get(name, math.nan) for name in classes])
    return times, rows
