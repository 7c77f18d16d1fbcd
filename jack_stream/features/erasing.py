"""CTEN's temporal erasing: which segments of a video are its key, which only its context.

The network is trained on three views of a video: all of it, the key segments that its attention
chose, and what is left without them. All decisions are per video.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from jack_stream.features.mel import Bands

__all__ = ["THETA", "kept_audio", "kept_frames", "key_and_context", "thresholds"]

THETA = 0.7
"""Where between a video's smallest and largest attention its key segments begin."""

Attention = npt.NDArray[np.float32]
"""float32 [B, S]: attention of S segments of B videos."""

Mask = npt.NDArray[np.bool_]
"""bool [B, S], or [S] for one video."""


def thresholds(gamma: Attention, theta: float = THETA) -> npt.NDArray[np.float32]:
    """Each video's own threshold, ``theta * max + (1 - theta) * min``; float32 [B]."""
    share = np.float32(theta)
    return np.asarray(
        gamma.max(axis=1) * share + gamma.min(axis=1) * np.float32(1.0 - theta), np.float32
    )


def key_and_context(
    *gammas: Attention, theta: float = THETA, variant: Literal["released", "paper"] = "released"
) -> tuple[Mask, Mask]:
    """The masks of key and context segments.

    ``released``: above and below the threshold of the one joint attention; a segment exactly at it
    (all of them, where the attention is even) is neither. ``paper`` (8)-(9): key where every
    modality's min-max normalised attention is at least theta, context everywhere else; an even
    attention chooses nothing.

    Args:
        gammas: one attention per modality, float32 [B, S] each (``released`` takes one).
        theta: see ``THETA``.
        variant: whose rule.

    Returns:
        bool [B, S] key and bool [B, S] context.
    """
    if variant == "released":
        (gamma,) = gammas
        limit = thresholds(gamma, theta)[:, None]
        return gamma > limit, gamma < limit
    key = np.logical_and.reduce([_min_max(gamma) >= np.float32(theta) for gamma in gammas])
    return key, ~key


def kept_frames(kept: Mask, n_frames: int) -> npt.NDArray[np.int64]:
    """The frames of the kept segments of one video.

    A segment has ``n_frames // S`` frames; the remainder at the end belongs to none. Where nothing
    is kept the whole video is used. (The released code does so for key segments only; for an
    empty context it goes on with the previous video's frames.)

    Args:
        kept: bool [S].
        n_frames: frames of the video.

    Returns:
        int64 [F], frame numbers counted from 1, ascending.
    """
    length = n_frames // kept.size
    frames = np.flatnonzero(np.repeat(kept, length)) + 1
    return frames if frames.size else np.arange(1, n_frames + 1, dtype=np.int64)


def kept_audio(bands: Bands, kept: Mask) -> Bands:
    """The sound of the kept segments alone, repeated to the old length (the paper erases it too).

    Args:
        bands: float32 [S * frames, bands].
        kept: bool [S]; where nothing is kept the sound stays whole.
    """
    if not kept.any():
        return bands
    segments = bands.reshape(kept.size, -1, bands.shape[1])
    return np.resize(segments[kept], segments.shape).reshape(bands.shape)


def _min_max(gamma: Attention) -> Attention:
    low, high = gamma.min(axis=1, keepdims=True), gamma.max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, np.float32(1.0))
    return np.asarray((gamma - low) / span, np.float32)
