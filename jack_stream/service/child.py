"""A process that is kept alive: started, watched, restarted with back-off."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Literal

from jack_stream import trace
from jack_stream.service.plan import WorkerPlan
from jack_stream.service.traces import STARTED
from jack_stream.wire.messages import Health

__all__ = ["OVER", "Child", "Outcome"]

OVER = "over "
"""Begins a line that tells a process which stream nothing more will come of."""

Outcome = Literal["running", "finished", "failed", "died", "hung"]

BACK_OFF_FIRST_S = 0.5
BACK_OFF_MAX_S = 15.0
HEALTHY_AFTER_S = 30.0
"""A process that lived so long starts its back-off anew."""
SILENT_START_S = 600.0
"""Models may compile for minutes before the first report."""
SILENT_S = 15.0
"""A running process that says nothing for so long hangs; a slow model may take longer."""
SILENT_INFERENCE_S = 60.0

_PERMANENT = {64, 65, 66, 69, 74, 78}
"""Exit codes of errors that trying again won't mend (jack_stream.errors)."""


@dataclass
class Child:
    """One worker.

    Attributes:
        plan: which.
        may_wait: whether it may be held up for as long as others need (lossless policy).
        restarts: how often it was started again.
        finished: it ended by itself, without an error.
        failed: it ended with an error that trying again won't mend.
        health: its newest report.
    """

    plan: WorkerPlan
    may_wait: bool = False
    restarts: int = 0
    finished: bool = False
    failed: bool = False
    exit_code: int | None = None
    health: Health | None = None
    _process: subprocess.Popen[str] | None = None
    _told: set[str] = field(default_factory=set)
    _started_s: float = 0.0
    _heard_s: float = 0.0
    _back_off_s: float = BACK_OFF_FIRST_S
    _start_at_s: float = 0.0

    @property
    def pid(self) -> int | None:
        """The process's number while it lives."""
        return self._process.pid if self._process is not None else None

    def start(self, config_json: str) -> None:
        """Start the process, handing it its configuration through a pipe."""
        command = [sys.executable, "-m", "jack_stream", "worker", self.plan.role]
        if self.plan.stream:
            command.append(self.plan.stream)
        # A session of its own keeps the terminal's Ctrl-C from it: the parent decides.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and constant words
            command, stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        trace.instant("process", STARTED, process=self.plan.name, number=self._process.pid)
        self._started_s = self._heard_s = time.monotonic()
        self.health = None
        self._told.clear()
        self._write(config_json)

    def tell_over(self, stream: str) -> None:
        """Say, once in its life, that nothing more will come of a stream."""
        if self._process is not None and stream not in self._told:
            self._told.add(stream)
            self.say(f"{OVER}{stream}")

    def say(self, line: str) -> None:
        """Tell the process something; lines that it does not know it passes over."""
        self._write(line)

    def uptime_s(self) -> float:
        """Seconds since its last start, 0 while it is away."""
        return time.monotonic() - self._started_s if self._process is not None else 0.0

    def _write(self, line: str) -> None:
        pipe = self._process.stdin if self._process is not None else None
        if pipe is not None:
            try:
                pipe.write(line + "\n")
                pipe.flush()
            except BrokenPipeError:
                return  # it died at once; the next look finds out why

    def hear(self, health: Health) -> None:
        """Note a report of this process."""
        self.health = health
        self._heard_s = time.monotonic()

    def look(self) -> Outcome:
        """How the process fares; one that ended or hangs is taken off the books."""
        if self.finished:
            return "finished"
        if self.failed:
            return "failed"
        if self._process is None:
            return "died"
        code = self._process.poll()
        now_s = time.monotonic()
        if code is None:
            if now_s - self._heard_s <= self._patience_s():
                return "running"
            self._process.kill()
            self._process.wait()
            self._bury(now_s)
            return "hung"
        self.exit_code = code
        self.finished = code == 0
        self.failed = code in _PERMANENT
        self._bury(now_s)
        return "finished" if self.finished else "failed" if self.failed else "died"

    def _patience_s(self) -> float:
        if self.health is None or self.health.state == "starting":
            return SILENT_START_S
        if self.may_wait:
            return math.inf
        return SILENT_INFERENCE_S if self.plan.role == "inference" else SILENT_S

    def may_restart(self) -> bool:
        """Whether a process that died has waited long enough to be started again."""
        gone = self._process is None and not self.finished and not self.failed
        return gone and time.monotonic() >= self._start_at_s

    def restart_in_s(self) -> float:
        """Seconds until :meth:`may_restart`."""
        return max(0.0, self._start_at_s - time.monotonic())

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()
            if self._process.stdin is not None:
                self._process.stdin.close()

    def wait(self, until_s: float) -> bool:
        """Wait for its end until a monotonic time, then kill it; True if it went by itself."""
        if self._process is None:
            return True
        try:
            self.exit_code = self._process.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()
            return False
        return True

    def _bury(self, now_s: float) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        if now_s - self._started_s > HEALTHY_AFTER_S:
            self._back_off_s = BACK_OFF_FIRST_S
        self._start_at_s = now_s + self._back_off_s
        self._back_off_s = min(2 * self._back_off_s, BACK_OFF_MAX_S)
