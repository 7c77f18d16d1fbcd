"""One recorded or made walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["EMOTION_GAIT_RATE_HZ", "FloatArray", "Walk"]

FloatArray = npt.NDArray[np.float64]

EMOTION_GAIT_RATE_HZ = 30.0
"""The data set states none; its own recordings show one stride of 26 to 32 frames."""


@dataclass(frozen=True)
class Walk:
    """One recording of a walking body.

    Attributes:
        name: of the recording; windows of one recording never stand on both sides of a split.
        joints: ``float64[T, 16, 3]``, the order and axes of `jack_stream.features.skeleton`; NaN
            where a detector has lost a joint.
        frame_rate_hz: frames per second.
        label: its emotion, None where there is none.
        content: what is done (``walk``, ``walk-turn-left``, ``run`` ...).
        style: in the data set's words.
    """

    name: str
    joints: FloatArray
    frame_rate_hz: float
    label: str | None
    content: str = "walk"
    style: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.joints) / self.frame_rate_hz
