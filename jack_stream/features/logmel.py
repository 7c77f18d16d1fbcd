"""TSL-Net's sound: log-mel frames, 32 of them to each 16 pictures."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from jack_stream.errors import ModelInputError
from jack_stream.features.framing import Samples
from jack_stream.features.mel import Bands, MelSpectrum, power_to_db

__all__ = ["BANDS", "SEGMENT_FRAMES", "log_mel", "mel_spectrum", "sample_rate", "to_segments"]

BANDS = 60
HOP = 1024
SEGMENT_FRAMES = 32
"""Mel frames of a segment, which shows 16 pictures."""

_SLOWEST_FPS = 19.916666666666668  # the smallest rate in the released fps_dict.json


def sample_rate(fps: float) -> int:
    """The rate in Hz to which the sound of a video must be resampled.

    It is chosen so that the hop of 1024 samples gives 2.001 mel frames per picture (61474 Hz for
    30 fps), whatever the frame rate; the constants are the released code's.

    Args:
        fps: pictures per second of the video.

    Raises:
        ModelInputError: the frame rate is not positive.
    """
    if not fps > 0:
        raise ModelInputError(f"a frame rate of {fps} has no sample rate")
    rate = fps / _SLOWEST_FPS * 44_100 / 4.323882352941176 * 4 / 1.9992360580595874 * 2
    return int(rate)


def mel_spectrum(rate: int, padding: Literal["reflect", "zero"] = "zero") -> MelSpectrum:
    """The power spectrum at a rate of ``sample_rate``; its ``step`` takes a stream.

    Zeros at the ends, as the golden model input has them (librosa >= 0.9).
    """
    return MelSpectrum(rate, HOP, BANDS, padding=padding)


def log_mel(samples: Samples, rate: int, padding: Literal["reflect", "zero"] = "zero") -> Bands:
    """Decibels of a finished sound; float32 [1 + N // 1024, 60].

    Raises:
        ModelInputError: the sound is too short.
    """
    return power_to_db(mel_spectrum(rate, padding).whole(samples))


def to_segments(decibels: Bands) -> npt.NDArray[np.float32]:
    """Log-mel frames as TSL-Net takes them.

    Args:
        decibels: float32 [F, 60]; frames that do not fill a segment are dropped.

    Returns:
        float32 [F // 32, 32, 60], scaled by (x + 50) / 80.
    """
    segments = len(decibels) // SEGMENT_FRAMES
    cut = decibels[: segments * SEGMENT_FRAMES].reshape(segments, SEGMENT_FRAMES, -1)
    return ((cut + np.float32(50.0)) / np.float32(80.0)).astype(np.float32)
