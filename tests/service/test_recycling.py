"""When a process is due: by its age, by its size, and never for a limit that is not set."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from jack_stream.config import RecycleSettings, parse
from jack_stream.errors import ConfigError
from jack_stream.service.recycling import due


@dataclass
class _Process:
    """This very process, as old as is said."""

    hours: float
    pid: int | None = os.getpid()

    def uptime_s(self) -> float:
        return self.hours * 3600


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, ""),
        ({"inference_hours": 12.5}, ""),
        ({"inference_hours": 11.5}, "12.0 h"),
        ({"inference_mb": 10**6}, ""),
        ({"inference_hours": 12.5, "inference_mb": 100}, "MiB"),
    ],
)
def test_a_process_is_due_at_its_limits(limits: dict[str, float], said: str) -> None:
    held = bytearray(os.urandom(1 << 20) * 100)  # pages that are really in memory
    reason = due(_Process(12.0), RecycleSettings(**limits))  # type: ignore[arg-type]
    assert said in reason
    assert bool(reason) is bool(said)
    assert len(held) == 100 << 20


@pytest.mark.parametrize("pid", [None, 2**22 - 1])
def test_one_that_is_not_there_is_not_due(pid: int | None) -> None:
    assert due(_Process(0.1, pid), RecycleSettings(inference_mb=100)) == ""  # type: ignore[arg-type]


def test_it_needs_what_taking_over_needs() -> None:
    table = {
        "recycle": {"inference_hours": 24},
        "journal": {"enabled": False},
        "streams": [{"name": "a", "scene": {}}],
    }
    with pytest.raises(ConfigError, match=r"recycle.* needs the journal"):
        parse(table, "test")
