"""Random batches of the shapes that the recipes train on, for both frameworks' training steps."""

from __future__ import annotations

import numpy as np

Arrays = dict[str, np.ndarray]

LENGTHS = ((360, 456), (404, 412), (300, 516))
"""Segments of the videos of a TSL-Net step; TSL-300's training videos have 408 on average.

The recipe takes sixteen videos to a step. Two to a step give the optimizer eight times its share.
"""

GAITS = 32

VOICES, SOUNDS_OF_ONE, EMOTIONS = 2, 16, 9


def voice_batch(number: int) -> Arrays:
    """A batch of the speech bundle's recipe (configs/train/vaanet-audio-speech.toml)."""
    rng = np.random.default_rng(number)
    sounds = VOICES * SOUNDS_OF_ONE
    return {
        "audio": rng.normal(size=(sounds, 120, 40)).astype(np.float32),
        "targets": np.eye(EMOTIONS, dtype=np.float32)[rng.integers(0, EMOTIONS, sounds)],
        "weights": rng.uniform(0.5, 2.0, EMOTIONS).astype(np.float32),
    }


def gait_batch(number: int) -> Arrays:
    """A batch of BPM-GCN's recipe."""
    rng = np.random.default_rng(number)
    return {
        "posture": rng.normal(size=(GAITS, 3, 48, 16, 1)).astype(np.float32),
        "movement": rng.normal(size=(GAITS, 8, 48, 16, 1)).astype(np.float32),
        "affective": rng.normal(size=(GAITS, 31 * 48)).astype(np.float32),
        "classes": rng.integers(0, 4, GAITS),
    }


def sentiment_video(number: int) -> list[Arrays]:
    """The videos of a step of TSL-Net's, a point in about one of fifty segments."""
    return [_video(number, length) for length in LENGTHS[number % len(LENGTHS)]]


def _video(number: int, length: int) -> Arrays:
    rng = np.random.default_rng([number, length])
    points = np.zeros((1, length, 2), np.float32)
    at = np.arange(20, length - 20, 50)
    points[0, at] = np.where(rng.random((len(at), 1)) < 0.5, [0.9, 0.1], [0.1, 0.9])
    return {
        "rgb": rng.random((1, length, 1024), dtype=np.float32),
        "mel": rng.random((1, length, 32, 60), dtype=np.float32),
        "points": points,
        "labels": np.ones((1, 2), np.float32),
        "distribution": np.full((1, 2), 0.5, np.float32),
    }
