"""A picture of the events over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jack_stream.events.schema import Event
from jack_stream.view.groups import by_whom

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_timeline", "save_timeline"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999")
"""Okabe and Ito's palette, which colour-blind people can tell apart."""
_DEVICES_S = 1e8
"""Files count from their begin; devices' seconds are those of the clock, and much more."""


def save_timeline(events: Sequence[Event], path: Path) -> None:
    """Draw a timeline into a PNG file; see `draw_timeline`.

    Args:
        events: at least one, in any order.
        path: where to; the folder must exist.

    Raises:
        ValueError: there are no events.
    """
    draw_timeline(events).savefig(path, dpi=120)


def draw_timeline(events: Sequence[Event]) -> Figure:
    """The probabilities of each stream, method and person over time; segments as shaded stretches.

    Args:
        events: at least one, in any order.

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
    for axis, (who, found) in zip(axes, groups.items(), strict=True):
        axis.set_title(f"{who.stream}: {who.method}, {who.name}", loc="left", fontsize=10)
        _draw(axis, found)
    axes[-1].set_xlabel("seconds (middle of the window)")
    return figure


def _draw(axis: Any, found: Sequence[Event]) -> None:
    first = found[0]
    start_s = 0.0 if first.window.start_s < _DEVICES_S else first.window.start_s
    colours = dict(zip(first.probabilities, _COLOURS * 8, strict=False))
    for name, colour in colours.items():
        axis.plot(*_with_gaps(found, name, start_s), marker=".", color=colour, label=name)
    for segment in {one for event in found for one in event.segments}:
        bounds = segment.start_s - start_s, segment.end_s - start_s
        axis.axvspan(*bounds, color=colours.get(segment.label, "grey"), alpha=0.15, linewidth=0)
    axis.set_ylim(0, 1)
    axis.set_ylabel("probability")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    if not first.model.trained:
        axis.text(
            0.5, 0.5, "UNTRAINED: NOISE", transform=axis.transAxes, ha="center", va="center",
            fontsize=24, color="red", alpha=0.35, weight="bold",
        )  # fmt: skip


def _with_gaps(
    events: Sequence[Event], name: str, start_s: float
) -> tuple[list[float], list[float]]:
    """Times and probabilities of one class, broken where no prediction was made in between."""
    hop = min((b.window.index - a.window.index for a, b in pairwise(events)), default=1)
    times: list[float] = []
    shares: list[float] = []
    last = None
    for event in events:
        middle_s = (event.window.start_s + event.window.end_s) / 2 - start_s
        if last is not None and event.window.index - last > hop:
            times.append(middle_s)
            shares.append(math.nan)
        times.append(middle_s)
        shares.append(event.probabilities.get(name, 0.0))
        last = event.window.index
    return times, shares
