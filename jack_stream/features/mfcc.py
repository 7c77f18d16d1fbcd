"""VAANet's sound: 32 mel-frequency cepstral coefficients at 44.1 kHz, repeated to 4096 frames."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.fft

from jack_stream.errors import ModelInputError
from jack_stream.features.framing import Samples
from jack_stream.features.mel import Bands, MelSpectrum, power_to_db

__all__ = [
    "COEFFICIENTS",
    "FRAMES",
    "HOP",
    "PIECE_FRAMES",
    "SAMPLE_RATE",
    "coefficients",
    "mel_spectrum",
    "mfcc",
    "repeat",
]

SAMPLE_RATE = 44_100
HOP = 512
COEFFICIENTS = 32
PIECE_FRAMES = 256
"""Frames of one of the pieces that the network looks at separately: 2.97 s."""
FRAMES = 16 * PIECE_FRAMES
"""Frames of VAANet's input: 47.6 s."""


def mel_spectrum(padding: Literal["reflect", "zero"] = "reflect") -> MelSpectrum:
    """The spectrum that the coefficients are made of; its ``step`` takes a stream."""
    return MelSpectrum(SAMPLE_RATE, HOP, bands=128, padding=padding)


def coefficients(power: Bands) -> Bands:
    """Cepstral coefficients of one window of the mel power spectrum.

    The 80 dB floor is that of the window, so the coefficients of a frame may depend on how loud
    its window gets elsewhere; the spectrum itself does not. A stream that keeps the network's
    features of each piece takes every piece of ``PIECE_FRAMES`` for a window of its own: the
    coefficients are the same unless a band is 80 dB below the loudest one of the whole window.

    Args:
        power: float32 [frames, 128].

    Returns:
        float32 [frames, 32]: orthonormal DCT-II of the decibels.
    """
    cepstrum = scipy.fft.dct(power_to_db(power), type=2, norm="ortho", axis=1)
    return np.ascontiguousarray(cepstrum[:, :COEFFICIENTS], dtype=np.float32)


def mfcc(samples: Samples, padding: Literal["reflect", "zero"] = "reflect") -> Bands:
    """Cepstral coefficients of a finished sound.

    Args:
        samples: float32 [N] at 44.1 kHz, full scale at 1.
        padding: ``reflect`` as librosa 0.6.1, which the authors used; ``zero`` as librosa >= 0.9.

    Returns:
        float32 [1 + N // 512, 32].

    Raises:
        ModelInputError: the sound is too short.
    """
    return coefficients(mel_spectrum(padding).whole(samples))


def repeat(frames: Bands, length: int = FRAMES) -> Bands:
    """Repeat or cut the frames to what the network takes; float32 [length, 32].

    Raises:
        ModelInputError: there are no frames.
    """
    if len(frames) == 0:
        raise ModelInputError("a sound without frames can't be repeated")
    return np.resize(frames, (length, frames.shape[1]))
