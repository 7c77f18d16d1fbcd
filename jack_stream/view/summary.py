"""Many events in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from jack_stream.events.schema import Event
from jack_stream.view.groups import by_whom

__all__ = ["summarise"]


def summarise(events: Sequence[Event]) -> str:
    """What was read of whom: one line per stream, method and person.

    Args:
        events: in any order.

    Returns:
        Lines of text; a sentence where there are no events.
    """
    if not events:
        return "No events: nobody was there long enough, or too little of them could be seen."
    lines = []
    for who, found in by_whom(events).items():
        first, last = found[0].window, found[-1].window
        counts = Counter(event.label for event in found).most_common()
        said = ", ".join(f"{label} {count / len(found):.0%}" for label, count in counts)
        mean = sum(event.confidence for event in found) / len(found)
        lines.append(
            f"{who.stream}, {who.method}, {who.name}: {len(found)} windows from"
            f" {first.start_s:.1f} s to {last.end_s:.1f} s: {said} (mean confidence {mean:.2f})"
        )
    if not all(event.model.trained for event in events):
        lines.append("UNTRAINED weights took part: their labels are noise, not readings.")
    degraded = sum(bool(event.degraded) for event in events)
    if degraded:
        lines.append(f"{degraded} of {len(events)} windows were degraded (see the events).")
    return "\n".join(lines)
