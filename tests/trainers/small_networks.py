"""Networks of VAANet, CTEN and MART that two cores train in seconds."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jack_stream.models import untrained
from jack_stream.weights import Card, Provenance, write_bundle

__all__ = ["MART", "architecture", "settings", "write_random"]

MART = (
    "model.width=32", "model.heads=2", "model.n_shared=4", "model.fusion_from=1",
    "snippets.training=1", "snippets.judging=1", "data.workers=0",
    "optimizer.lr=2e-3", "averaging.decay=0.8", "averaging.warm_up=10",
    "schedule.batch=8", "schedule.accumulate=1",
    "augmentation.probability=0", "augmentation.frequency_mask=0", "augmentation.time_mask=0",
)  # fmt: skip
"""Settings of a MART of one snippet; ``model.depth`` is still to be said."""


def architecture(method: str, **more: Any) -> dict[str, Any]:
    """The arguments of a network with two snippets and an eighth of the channels."""
    pieces = {"audio_n_segments": 1} if method == "vaanet" else {}
    return {"seq_len": 2, "width": 8, "depths": [1, 1, 1, 1], **pieces, **more}


def settings(method: str, *more: str) -> list[str]:
    """The recipe for it, with the frozen backbone's features of two views of each clip kept."""
    return [
        *(f"model.{name}={value}" for name, value in architecture(method).items()),
        "data.workers=0", "data.cached_views=2", "data.validation_share=0.15",
        "schedule.batch=8", "optimizer.lr=2e-3", *more,
    ]  # fmt: skip


def write_random(folder: Path, method: str, **more: Any) -> Path:
    """A bundle of random weights: a frozen backbone of chance is good enough for made clips."""
    sizes = architecture(method, **{"n_classes": 2, **more})
    made = Provenance(author="a test", created_at=datetime.now(timezone.utc), command="-")
    card = Card(method=method, architecture=sizes, trained=False, provenance=made)
    return write_bundle(folder, card, untrained(method, **sizes).weights()).path
