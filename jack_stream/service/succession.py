"""Takes over from an inference process without losing a window: for new weights, and for leaks.

The successor starts beside the old process, loads its models, and predicts without publishing.
When it has given windows, a moment shortly ahead is drawn: windows that start before it are the
old process's, the others the successor's. The old one ends when it has published its last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.config import Config
from jack_stream.service.child import Child
from jack_stream.wire.messages import Health

__all__ = ["SUCCESSOR", "Succession", "merged"]

SUCCESSOR = "inference.next"
_AHEAD_NS = NS_PER_S
_RETIRE_WITHIN_S = 60.0
_log = structlog.get_logger()


@dataclass
class Succession:
    """One taking over.

    Attributes:
        old: the process that is at work.
        successor: the one that will be.
        at_s: when the handing over was ordered, 0 before.
    """

    old: Child
    successor: Child
    at_s: float = 0.0

    def hear(self, health: Health, clock: TimeSource) -> None:
        """Note a report of the successor; once it gives windows, order the handing over."""
        self.successor.hear(health)
        if not self.at_s and health.state == "running" and health.counters.get("windows", 0):
            at_ns = clock.now_ns() + _AHEAD_NS
            self.successor.say(f"from {at_ns}")
            self.old.say(f"until {at_ns}")
            self.at_s = time.monotonic()

    def look(self) -> Child | None:
        """The process that is to stay, once it is clear which; it is alone then."""
        if self.successor.look() != "running":
            _log.error(
                "the successor failed; the process that works goes on",
                exit_code=self.successor.exit_code,
            )
            self.old.say("until 0")
            return self.old
        outcome = self.old.look()
        if self.at_s and outcome == "running" and self._is_late():
            _log.warning("the old process did not finish its windows in time and was ended")
            self.old.terminate()
            self.old.wait(time.monotonic() + 1)
            outcome = "died"
        if outcome == "running":
            return None
        if not self.at_s:  # it died before its time: the successor need not wait any longer
            self.successor.say("from 0")
        self.successor.say("alone")
        self.successor.restarts = self.old.restarts
        _log.info("a new process has taken over", process="inference")
        return self.successor

    def _is_late(self) -> bool:
        return time.monotonic() - self.at_s > _RETIRE_WITHIN_S


def merged(old: Config, new: Config) -> tuple[Config, list[str]]:
    """The old configuration with the new one's analyzers, and the keys that need a restart."""
    analyzers = {stream.name: stream.analyzers for stream in new.streams}
    streams = tuple(
        stream.model_copy(update={"analyzers": analyzers.get(stream.name, stream.analyzers)})
        for stream in old.streams
    )
    both = old.model_copy(update={"streams": streams})
    here, there = both.model_dump(), new.model_dump()
    return both, [key for key in there if here[key] != there[key]]
