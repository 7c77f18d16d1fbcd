"""Which windows one inference process publishes while another takes over from it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Handover"]


@dataclass
class Handover:
    """The windows that are this process's to publish, by their start.

    Two processes see the same messages and cut the same windows, so the one publishes those that
    start before a moment and the other those from it on: none is lost and none comes twice.

    Attributes:
        from_ns: the first moment; None while this process only stands by.
        alone: whether there is no other process beside this one.
        until_ns: the first moment that is another's; None for no end.
    """

    from_ns: int | None = 0
    until_ns: int | None = None
    alone: bool = True

    def includes(self, start_ns: int) -> bool:
        """Whether a window that starts then is to be published here."""
        if self.from_ns is None or start_ns < self.from_ns:
            return False
        return self.until_ns is None or start_ns < self.until_ns
