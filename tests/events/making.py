"""Events and alerts that are made up."""

from __future__ import annotations

from typing import Any

from jack_stream.clock import NS_PER_S
from jack_stream.events.schema import Alert, Event, EventWindow, Latency, ModelInfo

__all__ = ["alert", "event"]


def event(
    seq: int = 0,
    *,
    stream: str = "door",
    method: str = "bpm-gcn",
    trained: bool = True,
    start_s: float = 0.0,
    **fields: Any,
) -> Event:
    """An event whose numbers are easy to tell."""
    model = ModelInfo(method=method, bundle="d" * 64 if trained else "untrained", trained=trained)
    start_ns = round(start_s * NS_PER_S)
    window = EventWindow(
        index=seq,
        start_ns=start_ns,
        end_ns=start_ns + 2 * NS_PER_S,
        start_s=start_s,
        end_s=start_s + 2,
    )
    known: dict[str, Any] = {
        "stream": stream,
        "seq": seq,
        "session": "cafe0001",
        "person": 1,
        "window": window,
        "label": "happy",
        "confidence": 0.75,
        "probabilities": {"happy": 0.75, "sad": 0.25},
        "model": model,
        "modalities": ("pose",),
        "published_at_ns": 3 * NS_PER_S,
        "latency": Latency(
            capture_to_window_ms=1.0, queue_ms=2.0, inference_ms=4.0, publish_ms=8.0
        ),
    }
    return Event(**(known | fields))


def alert(seq: int = 0, *, rule: str = "unhappy", **fields: Any) -> Alert:
    """An alert about the person of :func:`event`."""
    about = event()
    known: dict[str, Any] = {
        "stream": about.stream,
        "seq": seq,
        "session": "beef0001",
        "rule": rule,
        "person": about.person,
        "state": "began",
        "reason": "above",
        "since_ns": NS_PER_S,
        "at_ns": 2 * NS_PER_S,
        "value": 0.75,
        "labels": ("sad", "angry"),
        "window": about.window,
        "model": about.model,
        "published_at_ns": 3 * NS_PER_S,
    }
    return Alert(**(known | fields))
