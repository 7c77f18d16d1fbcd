"""The classes of the data sets, in the order of the authors' outputs."""

from __future__ import annotations

__all__ = ["EKMAN_6", "EMOTION_GAIT", "TSL_300", "VIDEO_EMOTION_8", "default_labels"]

VIDEO_EMOTION_8 = (
    "anger",
    "anticipation",
    "disgust",
    "fear",
    "joy",
    "sadness",
    "surprise",
    "trust",
)
"""VideoEmotion-8: alphabetical, as the position in ``labels`` of its annotation file."""

EKMAN_6 = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
"""Ekman-6: alphabetical."""

EMOTION_GAIT = ("happy", "sad", "angry", "neutral")
"""Emotion-Gait in BPM-GCN's own arrays (the published h5 files have 1 angry, 2 sad instead)."""

TSL_300 = ("negative", "positive")
"""TSL-300; the class activation sequence has the background as a third column."""


def default_labels(n_classes: int) -> tuple[str, ...]:
    """Names for a video model whose weights came without any: VE-8, Ekman-6, or numbers."""
    for labels in (VIDEO_EMOTION_8, EKMAN_6):
        if len(labels) == n_classes:
            return labels
    return tuple(f"class-{index}" for index in range(n_classes))
