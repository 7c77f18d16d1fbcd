"""CTEN's and MART's sound: Kaldi's log-mel filter bank, cut to segments and normalised."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import scipy.signal

from jack_stream.errors import ModelInputError
from jack_stream.features.framing import Framing, FramingState, Samples
from jack_stream.features.mel import Bands, kaldi_filters, power_spectrum

__all__ = ["SEGMENT_FRAMES", "Fbank", "normalise", "select_segments"]

SEGMENT_FRAMES = 100
"""Frames of one segment: one second."""

_CHUNK = 256
_PRE_EMPHASIS = 0.97
_LOG_FLOOR = 1.1920929e-07  # float32's epsilon, as in Kaldi

_MEAN, _DEVIATION = -6.6268077, 5.358466  # of AudioSet (Gong et al., AST, 2021)


@dataclass(frozen=True)
class Fbank:
    """Kaldi's ``fbank`` as the authors call it through torchaudio.

    25 ms frames every 10 ms that lie wholly inside the sound, each without its mean, pre-emphasis
    0.97, symmetric Hann window, power spectrum of the next power of two, triangular bands on the
    HTK scale from 20 Hz to half the rate, natural logarithm; no dither, no energy.

    Attributes:
        sample_rate: the sound's own rate (the authors do not resample).
        bands: number of mel bands.
    """

    sample_rate: int
    bands: int = 128

    def whole(self, waveform: Samples) -> Bands:
        """The filter bank of a finished sound.

        The authors subtract the mean over all channels first; it does not reach the result
        (every frame loses its own mean), so that a stream, which has no mean yet, agrees.

        Args:
            waveform: float32 [N] or [channels, N] (the first is analysed), full scale at 1.

        Returns:
            float32 [frames, bands].

        Raises:
            ModelInputError: the sound is shorter than a frame.
        """
        first = waveform[0] if waveform.ndim == 2 else waveform
        return self._bands(self.framing.whole(first - waveform.mean(dtype=np.float32)))

    def step(self, block: Samples, state: FramingState | None = None) -> tuple[Bands, FramingState]:
        """The frames that a stream's next block completes; over all blocks, those of ``whole``.

        Args:
            block: float32 [n], any n.
            state: what the step before returned; None at the start of a stream.

        Returns:
            float32 [k, bands] and the state for the next block.
        """
        frames, state = self.framing.step(block, state)
        return self._bands(frames), state

    @property
    def framing(self) -> Framing:
        """How it cuts a sound."""
        return Framing(int(self.sample_rate * 0.025), int(self.sample_rate * 0.010))

    def _bands(self, frames: Samples) -> Bands:
        length = self.framing.length
        n_fft = 1 << (length - 1).bit_length()
        window = scipy.signal.get_window("hann", length, fftbins=False)
        filters = kaldi_filters(self.sample_rate, n_fft, self.bands)
        result = np.empty((len(frames), self.bands), np.float32)
        for start in range(0, len(frames), _CHUNK):
            chunk = frames[start : start + _CHUNK].astype(np.float64)
            chunk -= chunk.mean(axis=1, keepdims=True)
            before = np.concatenate([chunk[:, :1], chunk[:, :-1]], axis=1)
            power = power_spectrum((chunk - _PRE_EMPHASIS * before) * window, n_fft)
            result[start : start + _CHUNK] = np.log(np.maximum(power @ filters, _LOG_FLOOR))
        return result


def select_segments(
    bands: Bands,
    segments: int = 16,
    *,
    frames: int = SEGMENT_FRAMES,
    rng: random.Random | None = None,
) -> Bands:
    """Cut or repeat a sound to as many frames as the network takes.

    A sound of at most ``segments * frames`` frames is repeated. A longer one is cut into equal
    blocks (the remainder is dropped) and ``frames`` consecutive frames are taken from each.

    Args:
        bands: float32 [F, bands], F > 0.
        segments: number of segments S.
        frames: frames of a segment.
        rng: draws where in its block a segment starts, one value each, as the released loader
            does in training and in testing; None takes the middle, so that the same sound always
            gives the same result.

    Returns:
        float32 [S * frames, bands].

    Raises:
        ModelInputError: there are no frames.
    """
    if len(bands) == 0:
        raise ModelInputError("a sound without frames has no segments")
    wanted = segments * frames
    if len(bands) <= wanted:
        return np.resize(bands, (wanted, bands.shape[1]))
    block = len(bands) // segments
    spare = block - frames
    starts = [
        index * block + (spare // 2 if rng is None else int(rng.random() * spare))
        for index in range(segments)
    ]
    return np.concatenate([bands[start : start + frames] for start in starts])


def normalise(bands: Bands) -> Bands:
    """To about zero mean and half a unit of deviation, by AudioSet's statistics."""
    return ((bands - np.float32(_MEAN)) / np.float32(2.0 * _DEVIATION)).astype(np.float32)
