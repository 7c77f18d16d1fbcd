"""The answer to ``jack-train data check``: a table, what was noticed, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainers.data.clip import Fault

__all__ = ["Inventory", "duration"]


@dataclass(frozen=True)
class Inventory:
    """What a data set holds.

    Attributes:
        layout: what it was recognised as.
        columns: of the table.
        rows: cells as texts; the last row is the sum.
        notes: what a user should know, such as who made the split.
        faults: what is missing or damaged.
    """

    layout: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: Sequence[str] = ()
    faults: Sequence[Fault] = ()


def duration(seconds: float) -> str:
    """A length that reads well: ``42.0 s``, ``3:05 min`` or ``2:03:05 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"
