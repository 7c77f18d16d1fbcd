"""Mel filter banks and the mel power spectrum of a sound (librosa's conventions).

A filter bank turns the power spectrum of a frame into the power per band. Frames are independent
of each other, so that those of a stream are computed once. What depends on a whole window (the
80 dB floor below its loudest band) is ``power_to_db``, which is cheap and done per window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

from jack_stream.features.framing import Framing, FramingState, Samples

__all__ = ["MelSpectrum", "kaldi_filters", "power_spectrum", "power_to_db", "slaney_filters"]

Bands = npt.NDArray[np.float32]
"""float32 [frames, bands]."""

_Filters = npt.NDArray[np.float64]

# Slaney's scale: 200/3 Hz a mel up to its knee, then 27 mels for each factor of 6.4.
_MELS_PER_HZ = 3.0 / 200.0
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ * _MELS_PER_HZ
_LOG_STEP = np.log(6.4) / 27.0

_CHUNK = 256
"""Frames transformed at once: bounds the memory of a long sound to a few megabytes."""


@lru_cache(maxsize=16)
def slaney_filters(sample_rate: int, n_fft: int, bands: int) -> _Filters:
    """Triangles of equal area on Slaney's mel scale, from 0 Hz to half the sample rate.

    The scale is linear below 1 kHz and logarithmic above (Slaney, Auditory Toolbox, 1998).

    Returns:
        float64 [n_fft // 2 + 1, bands].
    """
    mels = np.linspace(0.0, _mel_of(sample_rate / 2), bands + 2)
    edges = np.where(
        mels < _KNEE_MEL, mels / _MELS_PER_HZ, _KNEE_HZ * np.exp((mels - _KNEE_MEL) * _LOG_STEP)
    )
    bins = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    filters: _Filters = _triangles(bins, edges) * (2.0 / (edges[2:] - edges[:-2]))
    filters.setflags(write=False)  # the cache hands the same array to everyone
    return filters


@lru_cache(maxsize=16)
def kaldi_filters(sample_rate: int, n_fft: int, bands: int, low_hz: float = 20.0) -> _Filters:
    """Triangles of height 1 on the HTK scale (1127 ln(1 + f/700)), straight lines in mel.

    From ``low_hz`` to half the sample rate, whose own bin is left out, as in Kaldi.

    Returns:
        float64 [n_fft // 2 + 1, bands].
    """
    bins = 1127.0 * np.log1p(np.fft.rfftfreq(n_fft, 1.0 / sample_rate) / 700.0)
    low, high = 1127.0 * np.log1p(np.array([low_hz, sample_rate / 2]) / 700.0)
    filters = _triangles(bins, np.linspace(low, high, bands + 2))
    filters[-1] = 0.0
    filters.setflags(write=False)
    return filters


def power_spectrum(frames: npt.NDArray[np.float64], n_fft: int) -> npt.NDArray[np.float64]:
    """|DFT|^2 of windowed frames [k, length], zero padded to n_fft; float64 [k, n_fft // 2 + 1]."""
    spectrum = scipy.fft.rfft(frames, n_fft, axis=-1)
    power: npt.NDArray[np.float64] = spectrum.real**2 + spectrum.imag**2
    return power


def power_to_db(power: Bands, *, floor: float = 1e-10, range_db: float = 80.0) -> Bands:
    """10 log10 of a window's power, nothing below its loudest band by more than ``range_db``.

    Args:
        power: float32 [frames, bands] of one window.
        floor: smallest power that is told apart.
        range_db: dynamic range kept.
    """
    decibels = 10.0 * np.log10(np.maximum(power, np.float32(floor)))
    return np.asarray(np.maximum(decibels, decibels.max() - np.float32(range_db)), np.float32)


@dataclass(frozen=True)
class MelSpectrum:
    """Mel power spectrum: Hann window, frames centred on multiples of the hop, Slaney's bands.

    Attributes:
        sample_rate: samples per second.
        hop: samples between frames.
        bands: number of mel bands.
        n_fft: samples of a frame.
        padding: ``reflect`` (librosa before 0.9, which the released weights were trained with) or
            ``zero`` (librosa since); they differ in the first and last two to four frames only.
    """

    sample_rate: int
    hop: int
    bands: int
    n_fft: int = 2048
    padding: Literal["reflect", "zero"] = "reflect"

    def whole(self, samples: Samples) -> Bands:
        """The spectrum of a finished sound.

        Args:
            samples: float32 [N], at least ``n_fft // 2 + 1`` of them with ``reflect``.

        Returns:
            float32 [1 + N // hop, bands], power (not dB).

        Raises:
            ModelInputError: the sound is too short.
        """
        return self._bands(self._framing.whole(samples))

    def step(self, block: Samples, state: FramingState | None = None) -> tuple[Bands, FramingState]:
        """The frames that a stream's next block completes; over all blocks, those of ``whole``.

        Args:
            block: float32 [n], any n.
            state: what the step before returned; None at the start of a stream.

        Returns:
            float32 [k, bands] and the state for the next block. Frame i comes as soon as the
            sample ``i * hop + n_fft // 2`` is there.
        """
        frames, state = self._framing.step(block, state)
        return self._bands(frames), state

    def finish(self, state: FramingState) -> Bands:
        """The last frames of a stream that has ended, which look beyond its end."""
        return self._bands(self._framing.finish(state))

    @property
    def _framing(self) -> Framing:
        return Framing(self.n_fft, self.hop, self.padding)

    def _bands(self, frames: Samples) -> Bands:
        window = scipy.signal.get_window("hann", self.n_fft)
        filters = slaney_filters(self.sample_rate, self.n_fft, self.bands)
        result = np.empty((len(frames), self.bands), np.float32)
        for start in range(0, len(frames), _CHUNK):
            chunk = frames[start : start + _CHUNK] * window
            result[start : start + _CHUNK] = power_spectrum(chunk, self.n_fft) @ filters
        return result


def _mel_of(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz * _MELS_PER_HZ
    return float(_KNEE_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP)


def _triangles(bins: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> _Filters:
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    triangles: _Filters = np.maximum(0.0, np.minimum(rising, falling))
    return triangles
