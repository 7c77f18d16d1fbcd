"""A picture of the events over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jack_stream.events.schema import Event

__all__ = ["save_timeline"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999")
"""Okabe and Ito's palette, which colour-blind people can tell apart."""


def save_timeline(events: Sequence[Event], path: Path) -> None:
    """Draw the probabilities of each stream, method and person over time and save a PNG.

    Args:
        events: at least one, in any order.
        path: where to; the folder must exist.

    Raises:
        ValueError: there are no events.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    if not events:
        raise ValueError("a timeline needs at least one event")
    groups: dict[tuple[str, str, int | None], list[Event]] = {}
    for event in sorted(events, key=lambda e: e.window.start_ns):
        groups.setdefault((event.stream, event.model.method, event.person), []).append(event)
    figure = Figure(figsize=(10, 2.2 * len(groups) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axis, ((stream, method, person), found) in zip(axes, groups.items(), strict=True):
        start_s = 0.0 if found[0].window.start_s < 1e8 else found[0].window.start_s
        for colour, name in zip(_COLOURS * 8, found[0].probabilities, strict=False):
            line = _with_gaps(found, name, start_s)
            axis.plot(*line, marker=".", color=colour, label=name)
        who = f"person {person}" if person is not None else "scene"
        axis.set_title(f"{stream}: {method}, {who}", loc="left", fontsize=10)
        axis.set_ylim(0, 1)
        axis.set_ylabel("probability")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
        if not found[0].model.trained:
            axis.text(
                0.5, 0.5, "UNTRAINED: NOISE", transform=axis.transAxes, ha="center", va="center",
                fontsize=24, color="red", alpha=0.35, weight="bold",
            )  # fmt: skip
    axes[-1].set_xlabel("seconds (middle of the window)")
    figure.savefig(path, dpi=120)


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
