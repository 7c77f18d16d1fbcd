"""A window's sound as the models take it: pieces of features."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from jack_stream.features import fbank, mfcc
from jack_stream.window.sound import cut_sound
from jack_stream.window.spec import Window

__all__ = ["FbankPieces", "MfccPieces", "SoundPieces", "heard"]

_FloatArray = NDArray[np.float32]
_SILENT_RATE = 16000


class SoundPieces(Protocol):
    """Makes the pieces that a model's sound encoder takes from a window's samples."""

    def __call__(self, samples: _FloatArray, sample_rate: int) -> _FloatArray:
        """Samples float32 ``[n]`` -> pieces float32 ``[P, frames, bands]``."""


class MfccPieces:
    """VAANet's: 32 MFCC at 44.1 kHz, repeated to P pieces of 256 frames.

    Args:
        pieces: P.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces

    def __call__(self, samples: _FloatArray, sample_rate: int) -> _FloatArray:
        """See :class:`SoundPieces`."""
        if sample_rate != mfcc.SAMPLE_RATE:
            samples = np.asarray(soxr.resample(samples, sample_rate, mfcc.SAMPLE_RATE), np.float32)
        frames = mfcc.repeat(mfcc.mfcc(samples), self._pieces * 256)
        return frames.reshape(self._pieces, 256, -1)


class FbankPieces:
    """CTEN's: 128 normalised Kaldi filter banks, S segments of 100 frames.

    Args:
        pieces: S.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces

    def __call__(self, samples: _FloatArray, sample_rate: int) -> _FloatArray:
        """See :class:`SoundPieces`; the sound keeps its rate, as in the authors' loader."""
        bands = fbank.Fbank(sample_rate).whole(samples[np.newaxis])
        frames = fbank.normalise(fbank.select_segments(bands, self._pieces))
        return frames.reshape(self._pieces, fbank.SEGMENT_FRAMES, -1)


def heard(window: Window) -> tuple[_FloatArray, int, float]:
    """The window's sound; silence where there is none.

    Returns:
        samples float32 ``[n]``, their rate in hertz, and the share that was captured, 0 to 1.
    """
    blocks = window.audio
    if not blocks:
        seconds = (window.end_ns - window.start_ns) / 1e9
        return np.zeros(round(seconds * _SILENT_RATE), np.float32), _SILENT_RATE, 0.0
    rate = blocks[-1].sample_rate
    same_rate = [block for block in blocks if block.sample_rate == rate]
    samples, captured = cut_sound(same_rate, window.start_ns, window.end_ns)
    return np.nan_to_num(samples, copy=False), rate, captured
