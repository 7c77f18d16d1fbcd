"""What was read of a file, as one page that needs nothing else."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import jack_stream
from jack_stream.config import PurposeSettings
from jack_stream.errors import SourceError
from jack_stream.events.schema import Alert, Event, EventSegment
from jack_stream.view.groups import Who, by_whom
from jack_stream.view.keyframes import KeyFrame
from jack_stream.view.spans import spans
from jack_stream.view.timeline import draw_timeline
from jack_stream.weights import Card

__all__ = ["write_report"]


@dataclass(frozen=True)
class _Row:
    """One line of the table of people."""

    who: Who
    windows: int
    start_s: float
    end_s: float
    shares: list[tuple[str, float]]
    confidence: float
    degraded: int


def write_report(
    path: Path,
    file: Path,
    events: Sequence[Event],
    frames: Sequence[KeyFrame],
    cards: Mapping[str, Card],
    *,
    alerts: Sequence[Alert] | None = None,
    purpose: PurposeSettings = PurposeSettings(),  # noqa: B008 - frozen
) -> None:
    """Write the page.

    Args:
        path: the HTML file to write.
        file: what was analyzed.
        events: what was said of it, in any order; may be empty.
        frames: key frames, in the order of their times.
        cards: of the bundles, by SHA-256 of their tensors as events name them.
        alerts: what rules said of it, in any order; None if there was no rule.
        purpose: what for, as the configuration states it.

    Raises:
        SourceError: the page can't be written.
    """
    pages = Environment(
        loader=PackageLoader("jack_stream.view"), autoescape=True, undefined=StrictUndefined
    )
    models = {(event.model.method, event.model.bundle): event.model for event in events}
    html = pages.get_template("report.html").render(
        file=file.name,
        version=jack_stream.__version__,
        purpose=purpose,
        events=len(events),
        untrained=any(not event.model.trained for event in events),
        degraded=sum(bool(event.degraded) for event in events),
        timeline=_svg(events, alerts or ()) if events else "",
        spans=None if alerts is None else spans(alerts),
        rows=[_row(who, found) for who, found in by_whom(events).items()],
        frames=[(frame.moment, base64.b64encode(frame.jpeg).decode()) for frame in frames],
        segments=_segments(events),
        models=[(model, cards.get(model.bundle)) for model in models.values()],
    )
    try:
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path}: can't be written: {error.strerror}") from error


def _row(who: Who, found: Sequence[Event]) -> _Row:
    counts = Counter(event.label for event in found)
    return _Row(
        who,
        len(found),
        found[0].window.start_s,
        found[-1].window.end_s,
        [(label, count / len(found)) for label, count in counts.most_common()],
        sum(event.confidence for event in found) / len(found),
        sum(bool(event.degraded) for event in found),
    )


def _segments(events: Sequence[Event]) -> list[tuple[Who, EventSegment]]:
    """Each stretch that was found, once, though overlapping windows find it again and again."""
    return [
        (who, segment)
        for who, found in by_whom(events).items()
        for segment in sorted(
            {one for event in found for one in event.segments}, key=lambda one: one.start_s
        )
    ]


def _svg(events: Sequence[Event], alerts: Sequence[Alert]) -> str:
    buffer = io.StringIO()
    draw_timeline(events, alerts=alerts).savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]  # without the XML prologue, which HTML has no place for
