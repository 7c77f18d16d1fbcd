"""Logs on standard error: text for people, JSON lines for machines, and no flood of either."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import structlog

__all__ = ["FloodGuard", "LogFormat", "set_up"]

LogFormat = Literal["text", "json"]

_AT_ONCE = 10
_PERIOD_S = 60.0
_CAUSES = 1024


class _Tally(NamedTuple):
    """How often a cause was heard of since its period began, and what was held back before."""

    began_s: float
    lines: int


class FloodGuard:
    """Lets a cause speak so often per period, and says with its next line how many were held back.

    A cause is a line's level and text, the process and the stream that it is about.

    Args:
        at_once: lines of one cause that pass in a period.
        period_s: its length in seconds.
        now_s: tells the time.
    """

    def __init__(
        self,
        at_once: int = _AT_ONCE,
        period_s: float = _PERIOD_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._period_s = period_s
        self._now_s = now_s
        self._tallies: dict[tuple[str, ...], _Tally] = {}

    def __call__(
        self, _logger: object, level: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """Pass a line on; the last one of a full period says that the next are held back.

        Raises:
            DropEvent: the line is held back.
        """
        cause = (level, *(str(line.get(key, "")) for key in ("event", "process", "stream")))
        now_s = self._now_s()
        tally = self._tallies.get(cause)
        if tally is None or now_s - tally.began_s >= self._period_s:
            held_back = tally.lines - self._at_once if tally is not None else 0
            if tally is None and len(self._tallies) >= _CAUSES:
                del self._tallies[next(iter(self._tallies))]
            self._tallies[cause] = _Tally(now_s, 1)
            return {**line, "suppressed": held_back} if held_back > 0 else line
        self._tallies[cause] = tally._replace(lines=tally.lines + 1)
        if tally.lines >= self._at_once:
            raise structlog.DropEvent
        if tally.lines + 1 == self._at_once:
            left_s = self._period_s - (now_s - tally.began_s)
            return {**line, "note": f"no more of these for {left_s:.0f} s"}
        return line


def set_up(log_format: LogFormat = "text", *, quiet: bool = False) -> None:
    """Send this process's log lines to standard error.

    Args:
        log_format: ``text`` for a terminal, ``json`` for one object per line.
        quiet: whether only warnings and errors are shown, for commands that draw on the screen.
    """
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            FloodGuard(),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.WARNING if quiet else logging.INFO
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
