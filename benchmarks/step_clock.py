"""The clocks of training steps, alike in both frameworks' processes."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

__all__ = ["answer"]


def answer(step: Callable[[int], object], count: int) -> dict[str, Any]:
    """Seconds and processor's seconds of some steps, and the process's greatest memory."""
    seconds, busy = [], []
    for number in range(count):
        start, processor = time.perf_counter(), time.process_time()
        step(number)
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - processor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "busy": busy, "peak_mib": peak}
