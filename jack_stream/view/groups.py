"""Events sorted by whom they speak of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from jack_stream.events.schema import Event

__all__ = ["Who", "by_whom"]


class Who(NamedTuple):
    """Of whom something was said, and by which method."""

    stream: str
    method: str
    person: int | None

    @property
    def name(self) -> str:
        """A person's number, or the scene as a whole."""
        return "the scene" if self.person is None else f"person {self.person}"


def by_whom(events: Iterable[Event]) -> dict[Who, list[Event]]:
    """Each one's events in the order of their windows; who came first stands first."""
    groups: dict[Who, list[Event]] = {}
    for event in sorted(events, key=lambda one: one.window.start_ns):
        groups.setdefault(Who(event.stream, event.model.method, event.person), []).append(event)
    return groups
