"""Where a subscriber stands in the journal, and whether an event is the next one for it."""

from __future__ import annotations

import re

from jack_stream.errors import UsageError
from jack_stream.events.schema import Position

__all__ = ["Place"]

_TEXT = re.compile(r"([0-9a-f]{1,64}):(\d{1,18})\Z")


class Place:
    """All that a subscriber wants up to a number has been taken; this decides what follows.

    Args:
        start: what :attr:`text` said before, to go on there; None to begin with what comes.
        by_stream: whether only one stream's events come, so that numbers are left out.

    Raises:
        UsageError: ``start`` is no such text.

    Attributes:
        journal: the journal's name, empty before one is known.
        covered: everything wanted up to this number was taken, or is known to be gone.
        target: everything wanted up to this number is known to be in the journal.
        replaced: how often the journal was another one than before.
    """

    def __init__(self, start: str | None = None, *, by_stream: bool = False) -> None:
        self.journal = ""
        self.covered = 0
        self.target = 0
        self.replaced = 0
        self._by_stream = by_stream
        if start is not None:
            match = _TEXT.match(start)
            if match is None:
                raise UsageError(f"{start!r} is no position; they look like 1852ecfee8f3e63f:42")
            self.journal, self.covered = match[1], int(match[2])
            self.target = self.covered

    @property
    def is_behind(self) -> bool:
        """Whether the journal has something that was not taken."""
        return self.target > self.covered

    def hear(self, journal: str, head: int) -> bool:
        """Take note of how far the journal is; True if it is another one than before."""
        if not self.journal:  # a newcomer begins here
            self.journal, self.covered, self.target = journal, head, head
            return False
        if journal == self.journal:  # what was on its way while more was fetched is old
            self.target = max(self.target, head)
            return False
        self.journal, self.covered, self.target = journal, 0, head  # all of it is new
        self.replaced += 1
        return True

    def is_next(self, position: Position) -> bool:
        """Whether an event follows what was taken; it counts as taken then.

        Otherwise it was taken before, or something before it is to be fetched, and itself too.
        """
        number = position.number
        if not self.journal:
            self.journal, self.covered = position.journal, number - 1
        elif position.journal != self.journal:
            self.hear(position.journal, number)
        if number <= self.covered:
            return False
        follows = number == self.covered + 1
        if follows or (self._by_stream and position.previous <= self.covered):
            self.covered = number
            return True
        self.target = max(self.target, number)
        return False

    def fetched(self, up_to: int, head: int) -> None:
        """All that was wanted up to a number was fetched."""
        self.covered = max(self.covered, up_to)
        if up_to >= head:
            self.target = self.covered

    def give_up(self) -> None:
        """Go on without what can't be fetched."""
        self.covered = self.target
