"""The augmentation of gaits that BPM-GCN was trained with (ST-GCN's, by its released code).

A gait is ``[C, T, V, 1]``: channels, frames, joints, one person.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["choose", "move", "random_choose", "random_move"]

Gait = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]

ANGLES_DEG = (-10.0, -5.0, 0.0, 5.0, 10.0)
SCALES = (0.9, 1.0, 1.1)
SHIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)


def random_choose(gait: Gait, size: int, rng: np.random.Generator) -> Gait:
    """A run of ``size`` frames from a longer gait, or a shorter one with zeros around it.

    The start is uniform over all possible ones.
    """
    start = int(rng.integers(0, abs(gait.shape[1] - size) + 1))
    return choose(gait, size, start)


def choose(gait: Gait, size: int, start: int) -> Gait:
    """``size`` frames: from ``start`` on, or, of a shorter gait, zeros with it at ``start``."""
    frames = gait.shape[1]
    if frames >= size:
        return gait[:, start : start + size]
    padded = np.zeros((gait.shape[0], size, *gait.shape[2:]), gait.dtype)
    padded[:, start : start + frames] = gait
    return padded


def random_move(gait: Gait, rng: np.random.Generator) -> Gait:
    """`move` with a start and an end drawn for each of angle, scale and both shifts.

    The release applies it to posture and, with draws of its own, to movement.
    """
    choices = (ANGLES_DEG, SCALES, SHIFTS, SHIFTS)
    return move(gait, *(rng.choice(values, 2) for values in choices))


def move(
    gait: Gait, angle_deg: FloatArray, scale: FloatArray, shift_x: FloatArray, shift_y: FloatArray
) -> Gait:
    """Turn, scale and shift the first two channels, from a start to an end value over the frames.

    Args:
        gait: ``[C, T, V, 1]``; the channels from the third on stay as they are.
        angle_deg: start and end of the angle in degrees, ``[2]``.
        scale: likewise of the factor.
        shift_x: likewise of what is added to the first channel.
        shift_y: likewise to the second.
    """
    angle, factor, dx, dy = (
        np.linspace(ends[0], ends[1], gait.shape[1])[:, np.newaxis, np.newaxis]
        for ends in (np.radians(angle_deg), scale, shift_x, shift_y)
    )
    cosine, sine = np.cos(angle) * factor, np.sin(angle) * factor
    moved = gait.copy()
    moved[0] = cosine * gait[0] - sine * gait[1] + dx
    moved[1] = sine * gait[0] + cosine * gait[1] + dy
    return moved
