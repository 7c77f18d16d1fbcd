"""A picture of the events over time."""

from __future__ import annotations

from collections.abc import Sequence
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
        times = [(event.window.start_s + event.window.end_s) / 2 for event in found]
        start_s = 0.0 if found[0].window.start_s < 1e8 else found[0].window.start_s
        for colour, name in zip(_COLOURS * 8, found[0].probabilities, strict=False):
            shares = [event.probabilities.get(name, 0.0) for event in found]
            axis.plot([t - start_s for t in times], shares, marker=".", color=colour, label=name)
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
