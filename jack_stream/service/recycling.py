"""When inference is old or large enough to be taken over from: its libraries may leak."""

from __future__ import annotations

from pathlib import Path

from jack_stream.config import RecycleSettings
from jack_stream.service.child import Child

__all__ = ["due"]

_S_PER_HOUR = 3600.0
_KIB_PER_MIB = 1024


def due(child: Child, settings: RecycleSettings) -> str:
    """Why a process is due, for people; empty while it is not.

    Args:
        child: a process that runs, or not.
        settings: the limits.
    """
    if child.pid is None:
        return ""
    hours = child.uptime_s() / _S_PER_HOUR
    if settings.inference_hours is not None and hours >= settings.inference_hours:
        return f"it has run for {hours:.1f} h"
    if settings.inference_mb is not None:
        resident = _resident_mib(child.pid)
        if resident >= settings.inference_mb:
            return f"it holds {resident:.0f} MiB of memory"
    return ""


def _resident_mib(pid: int) -> float:
    """What a process holds in memory; 0 where it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    kib = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
    return kib[0] / _KIB_PER_MIB if kib else 0.0
