"""Made walks in four moods: the procedural walker with persons' differences and lost joints.

The walker and its sources are those of `jack_stream.capture.scene.walk`. What is added here is what
a learner must not mind: how strongly a mood shows, how one person differs from the next, and what a
pose detector on a camera does to the joints.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.capture.scene.walk import STYLES, WalkStyle, blend, landmarks, world_landmarks
from jack_stream.errors import SourceError
from jack_stream.features.skeleton import from_mediapipe
from jack_stream.models.labels import EMOTION_GAIT

__all__ = ["Variation", "make_walk", "write_walks"]

FRAME_RATE_HZ = 30.0

# Standard deviations between persons that a factor can't give, since the typical value is near 0:
# degrees of lean and bow, metres of slump and bounce.
_SPREAD: Mapping[str, float] = {"lean": 3.0, "bow": 5.0, "slump": 0.012, "bounce": 0.004}


@dataclass(frozen=True)
class Variation:
    """How far made walks differ from the typical ones.

    Attributes:
        intensity: a mood's share, from barely there to exaggerated: the range of a blend between
            the neutral walk (0) and the typical moody one (1).
        person: standard deviation of the logarithm of every number of the style.
        dropout: probability that a walk has a joint that the detector loses for a while.
    """

    intensity: tuple[float, float] = (0.5, 1.3)
    person: float = 0.15
    dropout: float = 0.3


def make_walk(
    label: str, rng: np.random.Generator, variation: Variation, seconds: float = 5.0
) -> npt.NDArray[np.float32]:
    """One walk ``float32[frames, 16, 3]``, 30 frames per second; NaN where a joint is lost."""
    style = blend(STYLES["neutral"], STYLES[label], rng.uniform(*variation.intensity))
    style = _person(style.varied(rng, variation.person), rng)
    times = np.arange(round(seconds * FRAME_RATE_HZ)) / FRAME_RATE_HZ
    cadence = style.cadence * (1 + 0.03 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * times))
    phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.cumsum(cadence) / FRAME_RATE_HZ
    points = landmarks(style, phase) * (1 + 0.05 * rng.standard_normal(3))
    world = world_landmarks(points, rng.uniform(-np.pi, np.pi))
    joints, _ = from_mediapipe(world, np.ones(world.shape[:2]))
    if rng.random() < variation.dropout:
        _lose_a_joint(joints, rng)
    return joints.astype(np.float32)


def write_walks(path: Path, walks: int, seed: int, variation: Variation | None = None) -> None:
    """Make walks of all four emotions in turn and write them to an ``.npz``.

    Args:
        path: the file.
        walks: how many.
        seed: the same seed makes the same walks.
        variation: how much they differ.

    Raises:
        SourceError: the file can't be written.
    """
    how = variation or Variation()
    labels = [EMOTION_GAIT[i % len(EMOTION_GAIT)] for i in range(walks)]
    made = [
        make_walk(label, np.random.default_rng([seed, i]), how) for i, label in enumerate(labels)
    ]
    contents: dict[str, Any] = {
        "walks": np.stack(made),
        "label": np.array(labels),
        "frame_rate_hz": FRAME_RATE_HZ,
        "seed": seed,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, **contents)
    except OSError as error:
        raise SourceError(f"{path}: can't be written: {error.strerror}") from error


def _person(style: WalkStyle, rng: np.random.Generator) -> WalkStyle:
    shifted = {
        name: getattr(style, name) + spread * rng.standard_normal()
        for name, spread in _SPREAD.items()
    }
    shifted["bounce"] = max(0.0, shifted["bounce"])
    return dataclasses.replace(style, **shifted)


def _lose_a_joint(joints: npt.NDArray[np.float64], rng: np.random.Generator) -> None:
    """One joint is gone for up to a second, as behind a chair."""
    joint = int(rng.integers(1, joints.shape[1]))
    start = int(rng.integers(0, len(joints)))
    joints[start : start + int(rng.integers(3, round(FRAME_RATE_HZ))), joint] = np.nan
