"""How the whole system fares, from what its processes report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from jack_stream.wire.messages import Health, State

__all__ = ["SUPERVISOR", "Status", "System"]

SUPERVISOR = "supervisor"
Status: TypeAlias = Literal["ok", "degraded", "down"]
_SILENT_S = 5.0
_AT_WORK: tuple[State, ...] = ("running", "degraded")
_SOURCES = ("camera", "microphone", "scene", "recording")


@dataclass(frozen=True, slots=True)
class _Report:
    health: Health
    heard_s: float


class System:
    """Keeps the newest report of each process.

    Args:
        now_s: tells the time in seconds.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._reports: dict[str, _Report] = {}

    def hear(self, health: Health) -> None:
        """Take a report."""
        self._reports[health.process] = _Report(health, self._now_s())

    @property
    def reports(self) -> dict[str, Health]:
        """Process -> its newest report; the supervisor's is among them."""
        return {name: report.health for name, report in self._reports.copy().items()}

    def answer(self) -> tuple[Status, dict[str, Any]]:
        """How it fares in a word, and everything as a JSON object.

        ``down``: no event can be expected (the supervisor is silent, inference is not at work, or
        no source is). ``degraded``: something is away or says that it is not well.
        """
        supervisor = self._reports.get(SUPERVISOR)
        if supervisor is None or self._now_s() - supervisor.heard_s > _SILENT_S:
            return "down", {"status": "down", "reasons": ["the supervisor is silent"]}
        gauges, counters = supervisor.health.gauges, supervisor.health.counters
        names = [key.removeprefix("restarts.") for key in counters if key.startswith("restarts.")]
        processes = {}
        for name in names:
            report = self._reports.get(name)
            processes[name] = {
                "state": report.health.state if report else "starting",
                "detail": report.health.detail if report else "",
                "heard_s_ago": round(self._now_s() - report.heard_s, 1) if report else None,
                "restarts": counters[f"restarts.{name}"],
                "uptime_s": round(gauges.get(f"uptime_s.{name}", 0.0), 1),
            }
        reasons = [
            f"{name}: {one['state']}{': ' if one['detail'] else ''}{one['detail']}"
            for name, one in processes.items()
            if one["state"] != "running"
        ]
        sources = [one for name, one in processes.items() if name.split(".")[0] in _SOURCES]
        works = processes.get("inference", {}).get("state") in _AT_WORK
        if not works or (sources and all(one["state"] not in _AT_WORK for one in sources)):
            status: Status = "down"
        else:
            status = "degraded" if reasons else "ok"
        return status, {
            "status": status,
            "uptime_s": round(gauges.get("uptime_s", 0.0), 1),
            "cores": supervisor.health.detail,
            "reasons": reasons,
            "processes": processes,
        }
