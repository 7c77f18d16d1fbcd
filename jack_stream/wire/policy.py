"""What happens when a receiver is slower than its sender."""

from __future__ import annotations

from enum import Enum

__all__ = ["Policy"]


class Policy(Enum):
    """How a stage treats data that it can't take in time."""

    LIVE = "live"
    """The newest data wins: bounded queues drop their oldest, and count it. For devices.

    A result is as fresh as it can be; what was dropped is missing from the windows. A reader that
    drained its socket to the newest message got it 8 ms old where high-water marks alone served
    1.6 s old ones (benchmarks/freshness.py).
    """

    LOSSLESS = "lossless"
    """Nothing is dropped: senders block. For files, evaluation and tests.

    The whole pipeline goes as fast as its slowest stage, so never use it on a device that can't
    wait.
    """
